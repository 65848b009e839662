import { bytesEqual, emptyBytes } from "../bytes.ts";
import { Steps } from "../steps.ts";
import type { Digest } from "../ports/digest.ts";
import { SegmentBinding } from "./binding.ts";
import { decodeBlock, storedBlockBytes } from "./block.ts";
import { damaged, decoded, type Decoded } from "./decoded.ts";
import {
  decodeFooterInSteps,
  decodeTrailer,
  footerKind,
  trailerBytes,
  type ByteRange,
  type Footer,
  type FrameEntry,
} from "./footer.ts";
import {
  decodeFrameHeader,
  decodeFramePage,
  decodeMark,
  frameHeaderAndGroupBytes,
  frameHeaderBytes,
  groupCrc,
  markBytes,
  markKind,
  startsWithMarker,
  type FrameHeader,
} from "./frame.ts";
import { decodeSegmentHeader, segmentHeaderBytes, syncMarkerBytes } from "./header.ts";

/** The bytes of one segment, as a scan reads them. */
export interface SegmentSource {
  readonly tenant: string;
  readonly segment: string;
  readonly size: number;
  /** @param into  memory of this length that the answer may lie in */
  read(offset: number, bytes: number, into?: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Lets others run, every {@link bytesBetweenPauses}. */
  readonly pause?: () => Promise<void>;
}

/** So much is read before others run, some half a millisecond: bytes, and each frame counts for some more. */
const bytesBetweenPauses = 262_144;
const bytesPerFrame = 4096;

export interface ScannedFrame extends FrameEntry {
  readonly timeMs: number;
  /** The checked page. */
  readonly page: Uint8Array;
}

/** A part of a segment that fails its checks, and what is known of what lay there. */
export interface SegmentDamage {
  readonly tenant: string;
  readonly segment: string;
  readonly start: number;
  readonly end: number;
  readonly reason: string;
  /** Frames lost: 0 means that no frame lay there; `undefined` that nobody can tell. */
  readonly frames: number | undefined;
  /** The lost frame's group and sequence, where a footer or an intact header tells. */
  readonly group?: string;
  readonly sequence?: number;
  /** CRC-32 of the lost frame's group, where only the next frame or mark tells. */
  readonly groupCrc?: number;
}

/** Where a scan may begin, and what lay before it. */
export interface ScanStart {
  readonly offset: number;
  readonly frames: number;
}

export interface SegmentScan {
  readonly tenant: string;
  readonly segment: string;
  readonly size: number;
  readonly marker: Uint8Array | undefined;
  readonly sealed: boolean;
  /** A footer that does not hold: damaged, or cut short when the machine stopped. The frames tell as much. */
  readonly brokenFooter: { readonly start: number; readonly reason: string } | undefined;
  /** Frames whose head is whole, in order; below `durableBytes` their bodies were not looked at. */
  readonly frames: readonly ScannedFrame[];
  readonly damage: readonly SegmentDamage[];
  readonly voids: readonly ByteRange[];
  /** Everything below was durable and acknowledged. The whole segment where it is sealed. */
  readonly durableBytes: number;
  /** Everything below was acknowledged; more than is durable only where the writer does not wait for its syncs. */
  readonly acknowledgedBytes: number;
  /** Whole frames, bodies checked, that lie beyond: acknowledged or not, nobody can tell. Always the last of `frames`. */
  readonly tailFrames: number;
  /** Frames up to the last mark, also lost ones, and the group of the last: what the next frame's header says. */
  readonly framesBefore: number;
  readonly groupCrcBefore: number;
}

/**
 * Reads what a segment says of itself. From its footer if it is sealed; otherwise frame by frame, and where a frame is
 * damaged from the next sync marker on.
 *
 * What lies beyond the last mark is a torn tail: the whole frames before its first damage are kept, the rest is cut.
 * What is damaged below it was acknowledged, and is reported.
 *
 * @param told  `frames`: frame by frame although it has a footer, to compare what the two say
 * @throws {PayloadStoreError} `UNSUPPORTED_VERSION`
 */
export async function scanSegment(
  source: SegmentSource,
  digest: Digest,
  start?: ScanStart,
  told: "footer" | "frames" = "footer",
): Promise<SegmentScan> {
  const binding = new SegmentBinding(digest, source.segment);
  const window = new Window(source);
  const damage: SegmentDamage[] = [];
  const report = (
    range: ByteRange,
    reason: string,
    lost: Omit<SegmentDamage, "tenant" | "segment" | "start" | "end" | "reason">,
  ) => damage.push({ tenant: source.tenant, segment: source.segment, ...range, reason, ...lost });

  const header = decodeSegmentHeader(await window.at(0, segmentHeaderBytes), source.tenant, binding);
  if (!header.ok && "misplaced" in header) {
    // Another tenant's segment has no page of this one.
    const frames = header.misplaced === "another tenant's" ? 0 : undefined;
    report({ start: 0, end: source.size }, header.damage, { frames });
    return unreadable(source, damage);
  }
  const marker = header.ok ? header.value.marker : await salvageMarker(window, source.size, binding);
  if (!header.ok)
    report({ start: 0, end: marker ? segmentHeaderBytes : source.size }, header.damage, {
      frames: marker ? 0 : undefined,
    });
  if (!marker) return unreadable(source, damage);

  const { footer, offset: named } = await readFooter(source, marker, binding);
  const scanned =
    footer.ok && told === "footer"
      ? await readListed(source, window, footer.value, binding, report, start)
      : await readFrames(source, window, marker, binding, digest, report, start);
  const { footerAt: met, ...found } = scanned;
  const footerAt = named ?? met;
  return {
    tenant: source.tenant,
    segment: source.segment,
    size: source.size,
    marker,
    sealed: footer.ok,
    brokenFooter: footer.ok || footerAt === undefined ? undefined : { start: footerAt, reason: footer.damage },
    damage,
    ...found,
  };
}

type Report = (
  range: ByteRange,
  reason: string,
  lost: Omit<SegmentDamage, "tenant" | "segment" | "start" | "end" | "reason">,
) => void;
type Frames = Pick<
  SegmentScan,
  "frames" | "voids" | "durableBytes" | "acknowledgedBytes" | "tailFrames" | "framesBefore" | "groupCrcBefore"
> & {
  /** Where a footer begins that does not hold, if one was met. */
  readonly footerAt?: number | undefined;
};

/** The sync marker of a segment whose header is damaged: its first frame's, or any mark's. Each proves itself by its checksum. */
async function salvageMarker(window: Window, size: number, binding: SegmentBinding): Promise<Uint8Array | undefined> {
  const first = await frameHeaderAt(window, segmentHeaderBytes, binding);
  if (first.ok) return (await window.at(segmentHeaderBytes, syncMarkerBytes)).slice();
  for (let offset = segmentHeaderBytes; offset + markBytes <= size; offset += windowBytes - markBytes) {
    const bytes = await window.at(offset, Math.min(windowBytes, size - offset));
    for (let i = 0; i + markBytes <= bytes.length; i++) {
      const looksLikeMark = bytes[i + syncMarkerBytes] === markKind && bytes[i + syncMarkerBytes + 1] === 0;
      if (looksLikeMark && decodeMark(bytes.subarray(i, i + markBytes), offset + i, binding))
        return bytes.slice(i, i + syncMarkerBytes);
    }
  }
  return undefined;
}

function unreadable(source: SegmentSource, damage: SegmentDamage[]): SegmentScan {
  const nothing = {
    frames: [],
    voids: [],
    durableBytes: 0,
    acknowledgedBytes: 0,
    tailFrames: 0,
    framesBefore: 0,
    groupCrcBefore: 0,
  };
  return {
    tenant: source.tenant,
    segment: source.segment,
    size: source.size,
    marker: undefined,
    sealed: false,
    brokenFooter: undefined,
    damage,
    ...nothing,
  };
}

/** The end of a segment that is read at once: trailer and footer of some 1,500 frames. A longer footer takes a read more. */
const tailBytes = 65_536;

/** The footer, and where a trailer that holds says it begins. */
async function readFooter(
  source: SegmentSource,
  marker: Uint8Array,
  binding: SegmentBinding,
): Promise<{ readonly footer: Decoded<Footer>; readonly offset?: number }> {
  if (source.size < segmentHeaderBytes + trailerBytes) return { footer: damaged("too short for a footer") };
  const tailAt = Math.max(segmentHeaderBytes, source.size - tailBytes);
  const tail = await source.read(tailAt, source.size - tailAt);
  const trailer = decodeTrailer(tail.subarray(-trailerBytes), source.size, binding);
  if (!trailer.ok) return { footer: trailer };
  const { offset, bytes, crc } = trailer.value;
  const footer =
    offset >= tailAt ? tail.subarray(offset - tailAt, offset - tailAt + bytes) : await source.read(offset, bytes);
  const steps = decodeFooterInSteps(footer, crc, offset, marker, binding);
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) await source.pause?.();
  return { footer: step.value, offset };
}

/** The frames a footer lists. A frame that is damaged is attributed to its group and sequence. */
async function readListed(
  source: SegmentSource,
  window: Window,
  footer: Footer,
  binding: SegmentBinding,
  report: Report,
  start?: ScanStart,
): Promise<Frames> {
  const frames: ScannedFrame[] = [];
  const steps = new Steps(source.pause, bytesBetweenPauses);
  for (const entry of footer.frames) {
    if (start && entry.offset < start.offset) continue;
    const due = steps.did(bytesPerFrame + window.readSince());
    if (due) await due;
    const end = entry.offset + entry.headBytes + entry.bodyBytes;
    const header = await frameHeaderAt(window, entry.offset, binding);
    const page = header.ok ? await pageAt(window, entry.offset, header.value, binding) : header;
    const differs = header.ok && (header.value.group !== entry.group || header.value.sequence !== entry.sequence);
    if (header.ok && page.ok && !differs) frames.push({ ...entry, timeMs: header.value.timeMs, page: page.value });
    else {
      const reason = page.ok ? `frame at byte ${entry.offset} is not the one its footer lists` : page.damage;
      report({ start: entry.offset, end }, reason, { frames: 1, group: entry.group, sequence: entry.sequence });
    }
  }
  return {
    frames,
    voids: footer.voids,
    durableBytes: source.size,
    acknowledgedBytes: source.size,
    tailFrames: 0,
    framesBefore: footer.frames.length,
    groupCrcBefore: 0,
  };
}

/** The frames one after the other, up to the first bytes that nothing whole follows. */
async function readFrames(
  source: SegmentSource,
  window: Window,
  marker: Uint8Array,
  binding: SegmentBinding,
  digest: Digest,
  report: Report,
  start?: ScanStart,
): Promise<Frames> {
  const frames: ScannedFrame[] = [];
  const broken: {
    range: ByteRange;
    reason: string;
    before: number;
    next: number;
    groupCrc: number;
    frame?: FrameHeader;
  }[] = [];
  const steps = new Steps(source.pause, bytesBetweenPauses);
  let offset = start?.offset ?? segmentHeaderBytes;
  let durableBytes = offset;
  let acknowledgedBytes = offset;
  let number = start?.frames ?? 0;
  let crc = 0;
  let framesBefore = number;
  let groupCrcBefore = 0;
  let footerAt: number | undefined;
  let hole: { start: number; reason: string } | undefined;

  const leaveHole = (end: number, next: number, lostCrc: number) => {
    if (hole)
      broken.push({ range: { start: hole.start, end }, reason: hole.reason, before: number, next, groupCrc: lostCrc });
    hole = undefined;
  };

  while (offset < source.size) {
    const start8 = await window.at(offset, frameHeaderBytes);
    const ours = startsWithMarker(start8, marker);
    const mark = ours ? decodeMark(start8, offset, binding) : undefined;
    if (mark) {
      leaveHole(offset, mark.frames, mark.groupCrcBefore);
      number = mark.frames;
      crc = mark.groupCrcBefore;
      // A mark behind nothing but durable bytes lies in their last page, or is lost without being missed.
      durableBytes = mark.durableBytes === offset ? offset + markBytes : Math.max(durableBytes, mark.durableBytes);
      offset += markBytes;
      acknowledgedBytes = offset;
      framesBefore = number;
      groupCrcBefore = crc;
      continue;
    }
    if (ours && start8[syncMarkerBytes] === footerKind && !hole) {
      footerAt = offset;
      break;
    }
    const header = ours ? await frameHeaderAt(window, offset, binding) : damaged(`no frame at byte ${offset}`);
    const end = header.ok ? offset + header.value.headBytes + header.value.bodyBytes : 0;
    if (header.ok && end <= source.size) {
      leaveHole(offset, header.value.number, header.value.groupCrcBefore);
      const due = steps.did(bytesPerFrame + window.readSince());
      if (due) await due;
      const page = await pageAt(window, offset, header.value, binding);
      const { group, kind, sequence, timeMs, headBytes, bodyBytes } = header.value;
      if (page.ok) frames.push({ group, kind, sequence, offset, headBytes, bodyBytes, timeMs, page: page.value });
      else
        broken.push({
          range: { start: offset, end },
          reason: page.damage,
          before: number,
          next: number + 1,
          groupCrc: 0,
          frame: header.value,
        });
      number = header.value.number + 1;
      crc = groupCrc(group, (bytes) => digest.crc32(bytes));
      offset = end;
      continue;
    }
    hole ??= { start: offset, reason: header.ok ? `frame at byte ${offset} is cut` : header.damage };
    const next = await findMarker(window, marker, offset + 1, source.size);
    if (next === undefined) break;
    offset = next;
  }

  const torn = broken.find(({ range }) => range.end > durableBytes);
  for (const { range, reason, before, next, groupCrc: lostCrc, frame } of broken) {
    if (range.start >= durableBytes) continue;
    if (range.end > durableBytes) report({ start: range.start, end: durableBytes }, reason, { frames: undefined });
    else if (frame) report(range, reason, { frames: 1, group: frame.group, sequence: frame.sequence });
    else if (next - before === 1) report(range, reason, { frames: 1, groupCrc: lostCrc });
    else report(range, reason, { frames: next >= before ? next - before : undefined });
  }

  let tailEnd = Math.min(hole?.start ?? source.size, torn?.range.start ?? source.size);
  let tailFrames = 0;
  for (const frame of frames) {
    if (frame.offset < durableBytes) continue;
    if (frame.offset >= tailEnd || !(await bodyIsWhole(source, frame, binding))) {
      tailEnd = Math.min(tailEnd, frame.offset);
      break;
    }
    tailFrames += 1;
  }
  const kept = frames.filter((frame) => frame.offset < durableBytes || frame.offset < tailEnd);
  return {
    frames: kept,
    voids: [],
    durableBytes,
    acknowledgedBytes,
    tailFrames,
    framesBefore,
    groupCrcBefore,
    footerAt,
  };
}

/** Whether every block of a frame passes its checksum. */
export async function bodyIsWhole(source: SegmentSource, frame: FrameEntry, binding: SegmentBinding): Promise<boolean> {
  const start = frame.offset + frame.headBytes;
  const body = await source.read(start, frame.bodyBytes);
  if (body.length !== frame.bodyBytes) return false;
  for (let at = 0; at < body.length;) {
    const block = decodeBlock(body, at, start, binding);
    if (!block.ok) return false;
    at += storedBlockBytes(block.value);
  }
  return true;
}

async function frameHeaderAt(window: Window, offset: number, binding: SegmentBinding): Promise<Decoded<FrameHeader>> {
  const fixed = await window.at(offset, frameHeaderBytes);
  if (fixed.length < frameHeaderBytes) return damaged(`frame at byte ${offset}: cut in its header`);
  return decodeFrameHeader(await window.at(offset, frameHeaderAndGroupBytes(fixed)), offset, binding);
}

async function pageAt(
  window: Window,
  offset: number,
  header: FrameHeader,
  binding: SegmentBinding,
): Promise<Decoded<Uint8Array>> {
  const page = decodeFramePage(await window.at(offset, header.headBytes), header, offset, binding);
  return page.ok ? decoded(page.value.slice()) : page;
}

async function findMarker(window: Window, marker: Uint8Array, from: number, size: number): Promise<number | undefined> {
  for (let offset = from; offset + syncMarkerBytes <= size;) {
    const bytes = await window.from(offset);
    const last = bytes.length - syncMarkerBytes;
    for (let i = 0; i <= last; i++) {
      if (bytes[i] === marker[0] && bytesEqual(bytes.subarray(i, i + syncMarkerBytes), marker)) return offset + i;
    }
    if (last < 0) return undefined;
    offset += last + 1;
  }
  return undefined;
}

const windowBytes = 256 * 1024;

/** Reads ahead, so that small frames cost one read a window and large bodies are jumped over. */
class Window {
  readonly #source: SegmentSource;
  /** Where what is held mostly lies: as much memory for each read would be as much as the segment is long. */
  #memory: Uint8Array = emptyBytes;
  #bytes: Uint8Array = emptyBytes;
  #offset = 0;
  #readSince = 0;

  constructor(source: SegmentSource) {
    this.#source = source;
  }

  /** What is held from `offset` on, if a marker fits; otherwise what is read from there. */
  from(offset: number): Promise<Uint8Array> {
    const held = this.#offset + this.#bytes.length - offset;
    const known = offset >= this.#offset && held >= syncMarkerBytes;
    return this.at(offset, known ? held : windowBytes);
  }

  /** At most `bytes` bytes from `offset` on, fewer at the end; a view that is valid until the next call. */
  async at(offset: number, bytes: number): Promise<Uint8Array> {
    const end = Math.min(offset + bytes, this.#source.size);
    if (offset < this.#offset || end > this.#offset + this.#bytes.length) {
      const wanted = Math.min(Math.max(end - offset, windowBytes), this.#source.size - offset);
      this.#readSince += wanted;
      this.#bytes = wanted > 0 ? await this.#source.read(offset, wanted, this.#room(wanted)) : emptyBytes;
      this.#offset = offset;
    }
    return this.#bytes.subarray(offset - this.#offset, Math.max(end - this.#offset, 0));
  }

  /** How many bytes it has read since this was asked last. */
  readSince(): number {
    const bytes = this.#readSince;
    this.#readSince = 0;
    return bytes;
  }

  #room(bytes: number): Uint8Array | undefined {
    if (bytes > windowBytes) return undefined;
    if (this.#memory.length < bytes) this.#memory = new Uint8Array(bytes);
    return this.#memory.subarray(0, bytes);
  }
}
