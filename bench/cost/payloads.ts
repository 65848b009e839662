import { Work } from "../work.ts";

export const payloadBytes = 2048;

/** Payloads of 2,048 bytes: the corpus, one text after the other, cut. The same ones on every machine that has the corpus. */
export function cutPayloads(count: number): { readonly source: string; readonly payloads: readonly Uint8Array[] } {
  const work = new Work(Number.MAX_SAFE_INTEGER);
  const bytes = new Uint8Array(count * payloadBytes);
  for (let i = 0, end = 0; end < bytes.length; i++) {
    const next = work.bytes(i).subarray(0, bytes.length - end);
    bytes.set(next, end);
    end += next.length;
  }
  const payloads = Array.from({ length: count }, (_, i) => bytes.subarray(i * payloadBytes, (i + 1) * payloadBytes));
  return { source: work.source, payloads };
}
