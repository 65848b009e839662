import { setImmediate } from "node:timers/promises";
import { HeadRoom } from "../adapters/disk/recent-heads.ts";
import { compactionCodec } from "../adapters/node/zstd-codec.ts";
import { BlockEncoder } from "../blocks.ts";
import { calledStretches } from "../coalesce.ts";
import { autoPolicy } from "../codec-policy.ts";
import { baseBlockBytes, type BaseRules } from "../compaction/growing-bases.ts";
import { LocalCompaction } from "../compaction/local-compaction.ts";
import type { PlanRules } from "../compaction/plan.ts";
import type { RestRules } from "../compaction/rest-rules.ts";
import { type ErasedSegments, ErasingCompaction } from "../erasure/erasing-compaction.ts";
import type { RecoverableIndex } from "../index/recoverable-index.ts";
import { limits } from "../limits.ts";
import { Lookup } from "../lookup.ts";
import type { PayloadStorePorts } from "../payload-store.ts";
import type { Digest } from "../ports/digest.ts";
import type { ReclaimingSegments } from "../ports/segment-store.ts";
import type { ReclaimingUploads } from "../ports/upload-store.ts";
import { FrameReader } from "../segment/read-frame.ts";
import { SpareMemory } from "../spare-memory.ts";
import { BesideCallers } from "./beside-callers.ts";
import { nodeCodecs } from "./node-codecs.ts";

/** Levels of zstd by tier: what is rewritten early is soon rewritten again, what is a month old is kept for long. */
const levels: readonly [number, number, number] = [3, 3, 19];

/** A block, or a stretch of a segment, and the byte by which a frame shows that it ended. */
const spareBytes = limits.mergedBlockBytes + 1;

/** Eight groups that are merged at the same time read, decode and gather a block each, and hold a piece of payloads. */
const sparesMax = 32;

/** Compaction of a store that one process on Node writes. */
export function localCompaction(
  ports: Pick<PayloadStorePorts, "clock" | "digest" | "codecs" | "heads" | "blocks"> & {
    readonly segments: ReclaimingSegments;
    readonly index: RecoverableIndex;
    readonly uploads?: ReclaimingUploads | undefined;
  },
  { rules = {} }: { readonly rules?: Partial<PlanRules & BaseRules & RestRules> } = {},
): NonNullable<PayloadStorePorts["compaction"]> {
  const { clock, heads, blocks } = ports;
  return ({ eraser, ...inside }) => {
    const beside = new BesideCallers(inside.lanes);
    const spares = new SpareMemory(spareBytes, sparesMax);
    // It reads each head once: what callers read again is not to make room for that.
    const frames = new FrameReader(ports.segments, ports.digest, new HeadRoom());
    const zstd = levels.map((level) => compactionCodec(level, (work) => beside.inPool(work)));
    const encoders = (sharedBytes: number) =>
      zstd.map((codec, tier) => {
        // What is smaller on its base at the lowest level is so at others.
        const trial = levels[tier] === levels[0] ? undefined : zstd[0];
        return new BlockEncoder({ ...nodeCodecs, 2: codec }, autoPolicy(), sharedBytes, trial, spares);
      });
    const [others, bases] = [encoders(limits.mergedBlockBytes), encoders(baseBlockBytes)];
    const compaction = new LocalCompaction({
      ...ports,
      ...inside,
      frames,
      lookup: new Lookup(ports.index, frames, clock),
      rules,
      stretches: calledStretches,
      spares,
      encoderOf: (tier, kind) => (kind === "for a base" ? bases : others)[tier]!,
      nowMs: () => clock.nowMs(),
      pace: beside,
      pause: () => beside.turn(),
      forget: async () => {
        heads?.clear();
        spares.forget();
        nodeCodecs[2].onBase?.forget();
        for (const { onBase } of zstd) onBase.forget();
        const overwriting = blocks?.clear();
        while (overwriting?.next().done === false) await beside.turn();
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
