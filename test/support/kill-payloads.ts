import { createHash } from "node:crypto";
import type { IndexBounds } from "../../core/lsm/index-bounds.ts";

export const tenant = "kill";

/** An index of a compacting process that goes to the disk at once, and writes itself every few hundred commits. */
export const compactorIndex: Partial<IndexBounds> = {
  lanes: 4,
  laneChangesMax: 200,
  level0KeysMax: 500,
  laneKeysMax: 20_000,
  plainKeysMax: 0,
};

/** The n-th payload of a group: 0–20 KB, the same in the process that writes and in the one that compares. */
export function payloadOf(group: string, n: number): Uint8Array {
  const seed = createHash("sha256").update(`${group} ${n}`).digest();
  const length = n % 17 === 0 ? 0 : seed.readUInt16LE(0) % (n % 7 === 0 ? 20_000 : 1500);
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = at % 3 === 0 ? seed[at % 32]! : at & 15;
  return bytes;
}
