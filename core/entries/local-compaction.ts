import { setImmediate } from "node:timers/promises";
import { compactionCodec } from "../adapters/node/zstd-codec.ts";
import { BlockEncoder } from "../blocks.ts";
import { autoPolicy } from "../codec-policy.ts";
import { LocalCompaction } from "../compaction/local-compaction.ts";
import type { PlanRules } from "../compaction/plan.ts";
import type { RecoverableIndex } from "../index/recoverable-index.ts";
import { limits } from "../limits.ts";
import type { Tier } from "../page/page.ts";
import type { PayloadStorePorts } from "../payload-store.ts";
import type { ReclaimingSegments } from "../ports/segment-store.ts";
import { nodeCodecs } from "./node-codecs.ts";

/** Levels of zstd by tier: what is rewritten early is soon rewritten again, what is a month old is kept for long. */
const levels: readonly [number, number, number] = [3, 3, 19];

/** Compaction of a store that one process on Node writes. */
export function localCompaction(
  ports: Pick<PayloadStorePorts, "clock" | "digest" | "codecs" | "heads" | "blocks"> & {
    readonly segments: ReclaimingSegments;
    readonly index: RecoverableIndex;
  },
  { rules = {} }: { readonly rules?: Partial<PlanRules> } = {},
): NonNullable<PayloadStorePorts["compaction"]> {
  const { clock, heads, blocks } = ports;
  const codecs = (tier: Tier) => ({ ...nodeCodecs, 2: compactionCodec(levels[tier]) });
  return (inside) =>
    new LocalCompaction({
      ...ports,
      ...inside,
      rules,
      encoderOf: (tier) => new BlockEncoder(codecs(tier), autoPolicy(), limits.mergedBlockBytes),
      nowMs: () => clock.nowMs(),
      pause: () => setImmediate(),
      forget: () => {
        heads?.clear();
        blocks?.clear();
      },
    });
}
