/** What a Range header asks for, before the length is known. Only one range is served; anything else asks for the whole. */
export type ByteRange = { readonly first: number; readonly last: number } | { readonly suffix: number };

/** @returns `undefined` for a missing, malformed or multiple range: RFC 9110 §14.2 lets a server answer with the whole. */
export function parseRange(header: string | undefined): ByteRange | undefined {
  const [, from = "", to = ""] = /^bytes=(\d*)-(\d*)$/i.exec(header?.trim() ?? "") ?? [];
  if (from === "") return to === "" ? undefined : { suffix: Number(to) };
  const first = Number(from);
  const last = to === "" ? Number.POSITIVE_INFINITY : Number(to);
  return last < first ? undefined : { first, last };
}

/** Offsets of a range in a representation of `length` bytes, the end excluded, or why there are none. */
export function resolveRange(
  range: ByteRange,
  length: number,
): { readonly start: number; readonly end: number } | "whole" | "unsatisfiable" {
  if ("suffix" in range) {
    if (range.suffix === 0) return "unsatisfiable";
    // No Content-Range can spell a part of nothing.
    return length === 0 ? "whole" : { start: Math.max(0, length - range.suffix), end: length };
  }
  if (range.first >= length) return "unsatisfiable";
  return { start: range.first, end: Math.min(range.last + 1, length) };
}
