import { setImmediate, setTimeout as wait } from "node:timers/promises";
import { compactionCodec } from "../adapters/node/zstd-codec.ts";
import { BlockEncoder } from "../blocks.ts";
import { autoPolicy } from "../codec-policy.ts";
import type { CommitLanes } from "../commit-lanes.ts";
import type { BaseRules } from "../compaction/growing-bases.ts";
import { LocalCompaction } from "../compaction/local-compaction.ts";
import type { PlanRules } from "../compaction/plan.ts";
import { type ErasedSegments, ErasingCompaction } from "../erasure/erasing-compaction.ts";
import type { RecoverableIndex } from "../index/recoverable-index.ts";
import { limits } from "../limits.ts";
import type { Tier } from "../page/page.ts";
import type { PayloadStorePorts } from "../payload-store.ts";
import type { Codecs } from "../ports/codec.ts";
import type { Digest } from "../ports/digest.ts";
import type { ReclaimingSegments } from "../ports/segment-store.ts";
import { nodeCodecs } from "./node-codecs.ts";

/** Levels of zstd by tier: what is rewritten early is soon rewritten again, what is a month old is kept for long. */
const levels: readonly [number, number, number] = [3, 3, 19];

/** Blocks that are to become a base, in bytes: half of what a base may be, so that the one that makes it whole fits too. */
const baseBlockBytes = limits.baseRawBytesMax / 2;

/**
 * How long a step lets callers' commits go first, in milliseconds. Those that the disk acknowledges at once are done by then; where it
 * does not, or there is always one, steps are some half a millisecond of each one and a half.
 */
const callersFirstMs = 1;

/**
 * Whoever waits goes on alone in a turn of the event loop, so that many together hold it up no longer than one; and not while a
 * caller waits for a commit, which takes turns of its own.
 */
function turns({ callsEnded }: Pick<CommitLanes, "callsEnded">): () => Promise<void> {
  const inTurn = queue();
  return () =>
    inTurn(async () => {
      const ended = callsEnded();
      if (ended) await Promise.race([ended, wait(callersFirstMs)]);
      await setImmediate();
    });
}

/** Runs one after the other. The thread pool has room for the syncs of others then, and a core for their work. */
function queue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}

/** Compaction of a store that one process on Node writes. */
export function localCompaction(
  ports: Pick<PayloadStorePorts, "clock" | "digest" | "codecs" | "heads" | "blocks"> & {
    readonly segments: ReclaimingSegments;
    readonly index: RecoverableIndex;
  },
  { rules = {} }: { readonly rules?: Partial<PlanRules & BaseRules> } = {},
): NonNullable<PayloadStorePorts["compaction"]> {
  const { clock, heads, blocks } = ports;
  const oneAtATime = queue();
  const codecs = (tier: Tier): Codecs => {
    const codec = compactionCodec(levels[tier]);
    const { onBase } = codec;
    const inQueue = {
      ...codec,
      encode: (raw: Uint8Array) => oneAtATime(async () => codec.encode(raw)),
      onBase: onBase && {
        ...onBase,
        encode: (raw: Uint8Array, base: Uint8Array) => oneAtATime(async () => onBase.encode(raw, base)),
      },
    };
    return { ...nodeCodecs, 2: inQueue };
  };
  return ({ eraser, ...inside }) => {
    const inTurn = turns({ callsEnded: () => inside.lanes.callsEnded() });
    const compaction = new LocalCompaction({
      ...ports,
      ...inside,
      rules,
      encoderOf: (tier, kind) => {
        const sharedBytes = kind === "for a base" ? baseBlockBytes : limits.mergedBlockBytes;
        // What is smaller on its base at the lowest level is so at others.
        const trial = levels[tier] === levels[0] ? undefined : codecs(0)[2];
        return new BlockEncoder(codecs(tier), autoPolicy(), sharedBytes, trial);
      },
      nowMs: () => clock.nowMs(),
      pause: inTurn,
      forget: () => {
        heads?.clear();
        blocks?.clear();
        nodeCodecs[2].onBase?.forget();
      },
    });
    const nowMs = () => clock.nowMs();
    return eraser ? new ErasingCompaction(compaction, { eraser, segments: erasedSegments(ports), nowMs }) : compaction;
  };
}

/** Read so much of a segment at once, in bytes. */
const hashedBytes = 1_048_576;

function erasedSegments({
  segments,
  index,
  digest,
}: {
  readonly segments: ReclaimingSegments;
  readonly index: RecoverableIndex;
  readonly digest: Digest;
}): ErasedSegments {
  return {
    fates: async () => {
      const there = new Set((await segments.segments()).map(({ tenant, segment }) => `${tenant}/${segment}`));
      return (tenant, segment) => {
        if (!there.has(`${tenant}/${segment}`)) return "gone";
        return index.segments.find(tenant, segment)?.supersededMs === undefined ? "held" : "waiting";
      };
    },
    seal: async (tenant, segment) => {
      if (segments.growing(tenant) === segment) await segments.seal(tenant);
    },
    sha256: async (tenant, segment) => {
      const known = (await segments.segments()).find((one) => one.tenant === tenant && one.segment === segment);
      if (!known) return undefined;
      const hash = digest.sha256Parts();
      for (let at = 0; at < known.bytes; at += hashedBytes) {
        hash.update(await segments.read(tenant, segment, at, Math.min(hashedBytes, known.bytes - at)));
        await setImmediate();
      }
      return hash.end();
    },
  };
}
