import { concat } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Random } from "../../ports/random.ts";
import type { FramePlace, ReclaimingSegments, SegmentSummary } from "../../ports/segment-store.ts";
import type { FrameDraft } from "../../segment/frame.ts";
import { SegmentBinding } from "../../segment/binding.ts";
import { encodeFooter, type FrameEntry } from "../../segment/footer.ts";
import { encodeFrame } from "../../segment/frame.ts";
import { encodeSegmentHeader, segmentHeaderBytes, syncMarkerBytes } from "../../segment/header.ts";
import { SegmentNames } from "../../segment/name.ts";
import { scanSegment, type ScanStart, type SegmentScan } from "../../segment/scan.ts";
import { strayFrame } from "../../segment/stray.ts";

/** Segments in memory. Every append is a sealed segment of one frame, byte for byte as other adapters write it. */
export class MemorySegmentStore implements ReclaimingSegments {
  readonly failure = undefined;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #digest: Digest;
  readonly #names: SegmentNames;
  readonly #segments = new Map<string, { summary: SegmentSummary; bytes: Uint8Array }>();
  #closed = false;

  constructor(ports: { clock: Clock; random: Random; digest: Digest }) {
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#digest = ports.digest;
    this.#names = new SegmentNames(ports.clock, ports.random);
  }

  async append(tenant: string, frame: FrameDraft): Promise<FramePlace> {
    if (this.#closed) throw new PayloadStoreError("CLOSED", "the store is closed");
    if (frame.restsIn !== undefined) throw strayFrame(tenant, frame);
    const segment = this.#names.next();
    const binding = new SegmentBinding(this.#digest, segment);
    const marker = this.#random.bytes(syncMarkerBytes);
    const header = encodeSegmentHeader(
      { tenant, segment, marker, createdMs: Math.floor(this.#clock.nowMs()) },
      binding,
    );
    const offset = segmentHeaderBytes;
    const encoded = encodeFrame(frame, offset, { binding, marker, number: 0, groupCrcBefore: 0 });
    const { kind, group, sequence } = frame;
    const entry: FrameEntry = {
      group,
      kind,
      sequence,
      offset,
      headBytes: encoded.headBytes,
      bodyBytes: encoded.bytes - encoded.headBytes,
    };
    const footer = encodeFooter({ frames: [entry], voids: [] }, marker, offset + encoded.bytes, binding);
    const bytes = concat([header, ...encoded.parts, footer]);
    this.#segments.set(`${tenant}/${segment}`, { summary: { tenant, segment, bytes: bytes.length }, bytes });
    return { segment, offset, headBytes: encoded.headBytes };
  }

  read(tenant: string, segment: string, offset: number, bytes: number): Uint8Array {
    const whole = this.#whole(tenant, segment);
    if (offset + bytes <= whole.length) return whole.subarray(offset, offset + bytes);
    throw new PayloadStoreError(
      "CORRUPT",
      `segment ${tenant}/${segment} ends at byte ${whole.length}, expected at least ${offset + bytes}`,
      {
        details: { tenant, segment },
      },
    );
  }

  async segments(): Promise<readonly SegmentSummary[]> {
    return [...this.#segments.values()]
      .map(({ summary }) => summary)
      .sort((a, b) => (`${a.tenant}/${a.segment}` < `${b.tenant}/${b.segment}` ? -1 : 1));
  }

  async scan(tenant: string, segment: string, start?: ScanStart): Promise<SegmentScan> {
    const whole = this.#whole(tenant, segment);
    const read = (offset: number, bytes: number) => whole.subarray(offset, offset + bytes);
    return scanSegment({ tenant, segment, size: whole.length, read }, this.#digest, start);
  }

  writtenBytes(tenant: string, segment: string): number | undefined {
    return this.#segments.get(`${tenant}/${segment}`)?.bytes.length;
  }

  /** None grows: every append is a segment of its own. */
  growing(): undefined {
    return undefined;
  }

  async seal(): Promise<void> {}

  async remove(tenant: string, segment: string): Promise<void> {
    this.#segments.delete(`${tenant}/${segment}`);
  }

  freeBytes(): number {
    return Infinity;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true;
  }

  #whole(tenant: string, segment: string): Uint8Array {
    const found = this.#segments.get(`${tenant}/${segment}`);
    if (found) return found.bytes;
    throw new PayloadStoreError("GONE", `there is no segment ${tenant}/${segment}`, { details: { tenant, segment } });
  }
}
