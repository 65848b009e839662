import { setImmediate } from "node:timers/promises";
import { compactionCodec } from "../adapters/node/zstd-codec.ts";
import { BlockEncoder } from "../blocks.ts";
import { autoPolicy } from "../codec-policy.ts";
import { baseBlockBytes } from "../compaction/growing-bases.ts";
import type { PlanRules } from "../compaction/plan.ts";
import type { RowTimes } from "../compaction/row-times.ts";
import { SharedCompaction, type SharedCompactionTools } from "../compaction/shared-compaction.ts";
import { limits } from "../limits.ts";
import type { PayloadStorePorts } from "../payload-store.ts";
import { nodeCodecs } from "./node-codecs.ts";

/** Levels of zstd by tier: Lambda bills the time that the stronger ones take, and what is old is kept for long. */
const levels: readonly [number, number, number] = [3, 9, 19];

type Made = "segments" | "codecs" | "digest" | "random" | "rows" | "objects" | "clock" | "secret" | "prices" | "terms";

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
  const zstd = levels.map((level) => compactionCodec(level));
  const encoders = (sharedBytes: number) =>
    zstd.map((codec, tier) => {
      // What is smaller on its base at the lowest level is so at others.
      const trial = tier === 0 ? undefined : zstd[0];
      return new BlockEncoder({ ...nodeCodecs, 2: codec }, autoPolicy(), sharedBytes, trial);
    });
  const [others, bases] = [encoders(limits.mergedBlockBytes), encoders(baseBlockBytes)];
  return ({ frames, retention, eraser }) =>
    new SharedCompaction({
      ...tools,
      ...changes,
      frames,
      retention,
      eraser,
      encoderOf: (tier, kind) => (kind === "for a base" ? bases : others)[tier]!,
      pause: () => setImmediate(),
    });
}
