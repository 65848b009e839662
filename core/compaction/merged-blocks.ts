import { BlockDecoder } from "../block-decoder.ts";
import type { BlockBase, BlockEncoder } from "../blocks.ts";
import { Coalescing, type Stretches } from "../coalesce.ts";
import { PayloadStoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { PlacedPayload } from "../group-view.ts";
import { etagBytes, type EntryPlace, type PageEntry, type Tier } from "../page/page.ts";
import { locationOf } from "../payload-head.ts";
import { PayloadReader } from "../payload-reader.ts";
import type { Codecs } from "../ports/codec.ts";
import type { Digest } from "../ports/digest.ts";
import type { FramePlace, SegmentStore } from "../ports/segment-store.ts";
import { blockHeaderBytes, type EncodedBlock } from "../segment/block.ts";
import type { FrameReader } from "../segment/read-frame.ts";
import { SpareBytes, type SpareMemory } from "../spare-memory.ts";

export interface BlockTools {
  readonly segments: SegmentStore;
  readonly frames: FrameReader;
  readonly codecs: Codecs;
  readonly digest: Digest;
  /** Encodes blocks as the tier has them, off the event loop; short ones, where they are to become a base. */
  readonly encoderOf: (tier: Tier, kind?: "for a base") => BlockEncoder;
  /** How far neighbours are read together; as requests are, unless given. */
  readonly stretches?: Stretches | undefined;
  /** Memory that payloads are read and decoded to on their way; of their own, unless given. */
  readonly spares?: SpareMemory | undefined;
  /** Lets others run. */
  readonly pause: () => Promise<void>;
}

/** Payloads are read so far before others run, some half a millisecond: so many bytes, and each counts for some more. */
const bytesBetweenPauses = 65_536;
const bytesPerPayload = 512;

/** A long block is hashed so far, in bytes, before others run: some half a millisecond. */
const hashedBytes = 1_048_576;

export interface MergedAs {
  readonly tier: Tier;
  /** What the blocks may rest on. */
  readonly base?: BlockBase | undefined;
  /** Whether they are to become a base themselves. */
  readonly forBase?: boolean | undefined;
}

/**
 * The blocks of a page that brings payloads again, in their order. Short ones share blocks; one that shares none, and is compressed
 * as the tier asks or stronger, keeps its blocks as they are, unless they rest on a base or are to.
 *
 * @throws {PayloadStoreError} `CORRUPT` when a payload differs from its SHA-256: damage is not written again under a new checksum
 */
export async function mergedBlocks(
  tools: BlockTools,
  tenant: string,
  payloads: readonly PlacedPayload[],
  as: MergedAs,
): Promise<EncodedBlock[]> {
  const { spares } = tools;
  const rooms = spares && { read: spares.take(), decoded: spares.take(), payloads: new SpareBytes(spares) };
  const read = await readAll(tools, tenant, payloads, as, rooms);
  const encoder = tools.encoderOf(as.tier, as.forBase === true ? "for a base" : undefined);
  const blocks: EncodedBlock[] = [];
  let raw: { readonly bytes: Uint8Array }[] = [];
  for (const { found } of payloads) {
    const known = read.get(found.entry)!;
    if (known instanceof Uint8Array) raw.push({ bytes: known });
    else {
      blocks.push(...(await encoder.encode(raw, as.base)), ...known);
      raw = [];
    }
  }
  blocks.push(...(await encoder.encode(raw, as.base)));
  if (!rooms) return blocks;
  // What nothing makes smaller lies where it was read to, which others are about to use.
  const own = blocks.map((block) =>
    rooms.payloads.holds(block.body) ? { ...block, body: new Uint8Array(block.body) } : block,
  );
  spares.give(rooms.read);
  spares.give(rooms.decoded);
  rooms.payloads.giveBack();
  return own;
}

/** Memory that is used again when a page has its blocks. */
interface Rooms {
  readonly read: Uint8Array;
  readonly decoded: Uint8Array;
  readonly payloads: SpareBytes;
}

/** Reads payloads in the order in which they lie: their bytes, or their blocks where these are kept. */
async function readAll(
  tools: BlockTools,
  tenant: string,
  payloads: readonly PlacedPayload[],
  as: MergedAs,
  rooms: Rooms | undefined,
): Promise<Map<PageEntry, Uint8Array | readonly EncodedBlock[]>> {
  const { segments, frames, codecs, digest, pause } = tools;
  const wanted = payloads.map(({ page, found }) => ({ location: locationOf(page, found), place: page.place, found }));
  const inPlace = wanted.toSorted(({ location: a }, { location: b }) =>
    a.segment === b.segment ? a.offset - b.offset : a.segment < b.segment ? -1 : 1,
  );
  const own = rooms && ((bytes: Uint8Array) => rooms.payloads.copy(bytes));
  const reader = new PayloadReader(tenant, { frames, codecs, room: rooms?.decoded, own });
  const coalescing = new Coalescing(segments, tenant, inPlace, tools.stretches, rooms?.read);
  const read = new Map<PageEntry, Uint8Array | readonly EncodedBlock[]>();
  let since = 0;
  for (const [i, { location, found, place }] of inPlace.entries()) {
    const { entry } = found;
    if (isAlone(found) && (entry.bytes >= limits.mergedBlockBytes || payloads.length === 1)) {
      read.set(
        entry,
        await ownBlocks(tools, tenant, { segment: location.segment, at: location.offset, place, found }, as),
      );
    } else {
      const held = await coalescing.place(i);
      const bytes = await reader.read(location, undefined, { place: held, found });
      if (digest.sha256(bytes).slice(0, 2 * etagBytes) !== entry.etag) throw differs(entry);
      read.set(entry, bytes);
    }
    since += bytesPerPayload + entry.bytes;
    if (since >= bytesBetweenPauses) {
      since = 0;
      await pause();
    }
  }
  return read;
}

/** Whether no other payload has a part in its blocks. */
function isAlone({ entry, blocks }: EntryPlace): boolean {
  const rawBytes = blocks.reduce((sum, block) => sum + block.rawBytes, 0);
  return blocks.length > 0 && rawBytes === entry.bytes;
}

interface Lies {
  readonly segment: string;
  readonly at: number;
  readonly place: FramePlace;
  readonly found: EntryPlace;
}

/** The blocks of a payload that has them to itself, read one after the other. */
async function ownBlocks(
  { frames, codecs, digest, encoderOf, pause }: BlockTools,
  tenant: string,
  { segment, place, found: { entry, blocks, tier }, ...lies }: Lies,
  { tier: wanted, base }: MergedAs,
): Promise<readonly EncodedBlock[]> {
  const decoder = new BlockDecoder(tenant, { frames, codecs });
  const found: EncodedBlock[] = [];
  const hash = digest.sha256Parts();
  let { at } = lies;
  for (const { bodyBytes } of blocks) {
    const [block] = await frames.blocks(tenant, segment, at, blockHeaderBytes + bodyBytes, place);
    if (!block) throw differs(entry);
    // What segments answer may change with their next read.
    const own = { ...block, body: block.body.slice() };
    const bytes = await decoder.decode(block.resting ? block : own, { segment, place });
    for (let from = 0; from < bytes.length; from += hashedBytes) {
      if (bytes.length > hashedBytes) await pause();
      hash.update(bytes.subarray(from, from + hashedBytes));
    }
    const onBase = base && entry.bytes < limits.mergedBlockBytes;
    const again =
      tier < wanted || block.resting || onBase ? await encoderOf(wanted).encode([{ bytes }], base) : undefined;
    const keepsIt = !again || (tier >= wanted && !block.resting && !again.some(({ resting }) => resting));
    found.push(...(keepsIt ? [own] : again));
    at += blockHeaderBytes + bodyBytes;
    if (blocks.length > 1) await pause();
  }
  if (hash.end().slice(0, 2 * etagBytes) !== entry.etag) throw differs(entry);
  return found;
}

function differs({ id }: PageEntry): PayloadStoreError {
  return new PayloadStoreError("CORRUPT", `payload ${JSON.stringify(id)} differs from its SHA-256`, {
    details: { id },
  });
}
