import { setImmediate } from "node:timers/promises";
import { compactionCodec } from "../adapters/node/zstd-codec.ts";
import { BlockEncoder } from "../blocks.ts";
import { autoPolicy } from "../codec-policy.ts";
import type { PlanRules } from "../compaction/plan.ts";
import type { RowTimes } from "../compaction/row-times.ts";
import { SharedCompaction, type SharedCompactionTools } from "../compaction/shared-compaction.ts";
import { limits } from "../limits.ts";
import type { PayloadStorePorts } from "../payload-store.ts";
import { nodeCodecs } from "./node-codecs.ts";

/** Levels of zstd by tier: Lambda bills the time that the stronger ones take, and what is old is kept for long. */
const levels: readonly [number, number, number] = [3, 9, 19];

type Made = "segments" | "codecs" | "digest" | "random" | "rows" | "objects" | "clock" | "secret" | "prices";

/** What a test puts in the place of what compaction waits for. */
export interface CompactionChanges {
  readonly times?: Partial<RowTimes> | undefined;
  readonly rules?: Partial<PlanRules> | undefined;
}

/** Compaction of a store that any number of processes write. */
export function awsCompaction(
  tools: Pick<SharedCompactionTools, Made>,
  changes: CompactionChanges = {},
): NonNullable<PayloadStorePorts["compaction"]> {
  const encoders = levels.map(
    (level) => new BlockEncoder({ ...nodeCodecs, 2: compactionCodec(level) }, autoPolicy(), limits.mergedBlockBytes),
  );
  return ({ frames, retention, eraser }) =>
    new SharedCompaction({
      ...tools,
      ...changes,
      frames,
      retention,
      eraser,
      encoderOf: (tier) => encoders[tier]!,
      pause: () => setImmediate(),
    });
}
