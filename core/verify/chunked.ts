import { concat } from "../bytes.ts";
import type { SegmentStore, SegmentSummary } from "../ports/segment-store.ts";

/** Bytes of one read. */
export const chunkBytes = 8_388_608;
/** Chunks that are kept: of a segment no longer than these, each is read once. */
const chunksKept = 4;

/** How often a segment of this length is read: once as a whole, or once for footer, frames and payloads each. */
export function readsOf(bytes: number): number {
  const chunks = Math.max(1, Math.ceil(bytes / chunkBytes));
  return chunks <= chunksKept ? chunks : 3 * chunks;
}

/** Reads a segment in long pieces, for a store where a read is a request. Answers fewer bytes at the end, as a scan expects. */
export function chunkedReads(
  segments: SegmentStore,
  { tenant, segment, bytes: size }: SegmentSummary,
): (offset: number, bytes: number) => Promise<Uint8Array> {
  const kept = new Map<number, Uint8Array>();
  const chunkAt = async (start: number): Promise<Uint8Array> => {
    const known = kept.get(start);
    if (known) return known;
    const chunk = await segments.read(tenant, segment, start, Math.min(chunkBytes, size - start));
    const [oldest] = kept.keys();
    if (kept.size >= chunksKept && oldest !== undefined) kept.delete(oldest);
    kept.set(start, chunk);
    return chunk;
  };
  return async (offset, bytes) => {
    const parts: Uint8Array[] = [];
    for (let at = offset, end = Math.min(offset + bytes, size); at < end;) {
      const start = at - (at % chunkBytes);
      const chunk = await chunkAt(start);
      parts.push(chunk.subarray(at - start, Math.min(end - start, chunk.length)));
      at = start + chunk.length;
    }
    return parts.length === 1 ? parts[0]! : concat(parts);
  };
}
