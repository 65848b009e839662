import type { MemoryAttributeTable } from "../../../core/adapters/memory/memory-attribute-table.ts";
import type { MemoryErasureLedger } from "../../../core/adapters/memory/memory-erasure-ledger.ts";
import type { MemoryRowTable } from "../../../core/adapters/memory/memory-row-table.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { BlockEncoder } from "../../../core/blocks.ts";
import { tieredPolicy } from "../../../core/codec-policy.ts";
import { utf8 } from "../../../core/bytes.ts";
import { leaseIdBytes } from "../../../core/compaction/row-lease.ts";
import { rowTimes } from "../../../core/compaction/row-times.ts";
import { SharedCompaction } from "../../../core/compaction/shared-compaction.ts";
import { noneCodec } from "../../../core/none-codec.ts";
import { PayloadStore, type StoreInside } from "../../../core/payload-store.ts";
import type { Random } from "../../../core/ports/random.ts";
import { AttributeRows } from "../../../core/rows/attribute-rows.ts";
import { AttributedOffsetIndex } from "../../../core/rows/attributed-offset-index.ts";
import { RowOffsetIndex, type RowOffsetIndexOptions } from "../../../core/rows/row-offset-index.ts";
import type { FrameDraft } from "../../../core/segment/frame.ts";
import { FrameReader } from "../../../core/segment/read-frame.ts";
import { changed } from "../changed.ts";
import type { Bug } from "./bug.ts";
import type { ObjectServer } from "./object-server.ts";
import { Process, type Weather } from "./process.ts";
import type { ErasureRecord } from "../../../core/erasure/erasure.ts";
import { ProcessAttributes } from "./process-attributes.ts";
import { ProcessLedger } from "./process-ledger.ts";
import { ProcessRows } from "./process-rows.ts";
import { ProcessSegments } from "./process-segments.ts";
import { WatchedClock } from "./watched-clock.ts";
import type { World } from "./world.ts";

/** What all processes of a schedule share. */
export interface Servers {
  readonly world: World;
  readonly rows: MemoryRowTable;
  readonly objects: ObjectServer;
  readonly erasures: MemoryErasureLedger;
  /** Is told of each record of an erasure, when it is kept. */
  readonly whenErasureKept: (record: ErasureRecord) => void;
  /** Set where payloads have attributes and expire. */
  readonly lapsing?: LapsingServers | undefined;
}

export interface LapsingServers {
  readonly attributes: MemoryAttributeTable;
  readonly indexed: readonly string[];
  /** How long payloads of a class are kept, in milliseconds. */
  readonly classesMs: Readonly<Record<string, number>>;
  /** Is told of each frame before it is stored. */
  readonly whenFramed: (frame: FrameDraft) => void;
}

/** A process that serves a store, or compacts it. */
export interface Handler {
  readonly process: Process;
  readonly store: PayloadStore;
  /** The one by which it says what has expired. */
  readonly clock: WatchedClock;
}

/** Ids are hashed with it. */
const secret = new Uint8Array(16).fill(7);

/** Nothing is compressed: a codec that works on a thread would end when it likes. */
const codecs = { 0: noneCodec, 1: noneCodec, 2: noneCodec };

/** Starts a process. It knows nothing yet. */
export function openHandler(servers: Servers, name: string, weather: Weather, bug: Bug): Handler {
  const { world, rows: table, objects: bucket, lapsing } = servers;
  const process = new Process(world, name, weather);
  const segments = new ProcessSegments(world, process, bucket, bug.segmentRules);
  const tools = { process, segments };
  const ownRows = new ProcessRows(process, table);
  const rows = bug.rows?.(ownRows, tools) ?? ownRows;
  const { sleep } = process;
  const shared = { clock: process, random: process, digest: nodeDigest };
  const frames = new FrameReader(segments, nodeDigest);
  const ownIndex = lapsing
    ? attributedIndex(lapsing, bug, { ...shared, rows, sleep, secret, frames, process })
    : new RowOffsetIndex({ ...shared, rows, sleep, secret, frames });
  const terms = ownIndex instanceof AttributedOffsetIndex ? ownIndex.terms : undefined;
  const index = bug.index?.(ownIndex, tools) ?? ownIndex;
  const ownErasures = new ProcessLedger(process, servers.erasures, servers.whenErasureKept);
  const erasures = bug.erasures?.(ownErasures) ?? ownErasures;
  const objects = bug.objects?.(segments) ?? segments;
  // What only has to differ is counted: a draw more would change what every seed stands for, also those that broke once.
  const random: Random = {
    bytes: (length) => (length === leaseIdBytes ? utf8(String(world.stamp()).padStart(length)) : process.bytes(length)),
  };
  const compaction = (inside: StoreInside) =>
    new SharedCompaction({
      retention: inside.retention,
      ...shared,
      random,
      segments,
      codecs,
      rows,
      objects,
      secret,
      frames: bug.merged?.(inside.frames, tools) ?? inside.frames,
      eraser: inside.eraser,
      terms,
      encoderOf: () => new BlockEncoder(codecs, tieredPolicy()),
      pause: () => sleep(0),
      times: { ...rowTimes, ...bug.times },
    });
  const clock = new WatchedClock(process);
  const told = lapsing ? tellingOf(segments, lapsing) : segments;
  const store = new PayloadStore(
    { ...shared, clock, segments: told, index, codecs, erasures, compaction },
    lapsing ? { retentionMs: { classesMs: lapsing.classesMs } } : {},
  );
  return { process, store: bug.store?.(store) ?? store, clock };
}

function attributedIndex(
  { attributes, indexed }: LapsingServers,
  bug: Bug,
  { process, ...options }: RowOffsetIndexOptions & { readonly process: Process },
): RowOffsetIndex {
  const own = new ProcessAttributes(process, attributes);
  const table = bug.attributes?.(own) ?? own;
  return new AttributedOffsetIndex({ ...options, attributes: new AttributeRows({ ...options, table, indexed }) });
}

/** Segments whose frames are told of before they are stored. */
function tellingOf(segments: ProcessSegments, { whenFramed }: LapsingServers): ProcessSegments {
  return changed(segments, {
    append: (tenant, frame) => {
      whenFramed(frame);
      return segments.append(tenant, frame);
    },
  });
}
