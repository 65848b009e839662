import assert from "node:assert/strict";
import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { concat, utf8, utf8Text, view } from "../../../core/bytes.ts";
import { ChangeTable } from "../../../core/lsm/change-table.ts";
import { key1Mask } from "../../../core/lsm/index-key.ts";
import { decodeManifest } from "../../../core/lsm/manifest.ts";
import { overlaySource } from "../../../core/lsm/overlay-source.ts";
import { runFooterBytes } from "../../../core/lsm/run-format.ts";
import { overlayFooterBytes, SavedOverlay } from "../../../core/lsm/saved-overlay.ts";
import { memoryFile, openRun, overlayBytes, runBytes } from "../runs-in-memory.ts";
import { seededRandom } from "../seeded-random.ts";
import type { FuzzCase } from "./decoder-targets.ts";
import type { GoldenPieces } from "./golden-pieces.ts";
import { mutated } from "./mutations.ts";

const crc32 = (bytes: Uint8Array, seed?: number) => nodeDigest.crc32(bytes, seed);
const table = sampleTable(900);
const run = runBytes([overlaySource(table)], false) ?? new Uint8Array(0);
const overlay = overlayBytes([table, new ChangeTable(), sampleTable(3)]);

/** A run whose footer, resident part or pages were changed, with checksums that are right more often than not. */
export function runTarget(_pieces: GoldenPieces, random: SeededRandom): FuzzCase {
  const bytes = changed(run, random);
  if (random.chance(0.7)) resealRun(bytes);
  return {
    bytes: bytes.length,
    decode: () => {
      const opened = openRun(bytes);
      const words = seededRandom(random.between(1, 1000));
      for (let i = 0; i < 50; i++) opened.find(Math.floor(words() * 2 ** 32), Math.floor(words() * 2 ** 32) & key1Mask);
      const all = new ChangeTable();
      for (const _ of opened.window(0, 0, all)) assert.ok(all.size <= bytes.length);
      return "decoded";
    },
  };
}

export function overlayTarget(_pieces: GoldenPieces, random: SeededRandom): FuzzCase {
  const bytes = changed(overlay, random);
  if (random.chance(0.8)) resealOverlay(bytes);
  return {
    bytes: bytes.length,
    decode: () => {
      const { tables } = new SavedOverlay("overlay", memoryFile(bytes), bytes.length, crc32);
      for (const each of tables) assert.ok(each.columns().keys <= bytes.length);
      return "decoded";
    },
  };
}

/** A manifest that says something else in one place. */
export function manifestTarget({ manifest, secret }: GoldenPieces, random: SeededRandom): FuzzCase {
  const bytes = random.chance(0.5) ? mutated(manifest, [run], random) : otherManifest(manifest, random);
  if (random.chance(0.8) && bytes.length >= 20) {
    view(bytes).setUint32(12, bytes.length - 20, true);
    view(bytes).setUint32(16, crc32(bytes.subarray(20), crc32(bytes.subarray(0, 16), crc32(secret))), true);
  }
  return {
    bytes: bytes.length,
    decode: () => {
      const read = decodeManifest(bytes, secret, crc32);
      if (!read.ok) return "refused";
      assert.ok(read.value.lanes >= 1 && read.value.runs.every(({ lane }) => lane < read.value.lanes));
      return "decoded";
    },
  };
}

/** Half of the time the length stays, or nothing behind it would be looked at. */
function changed(golden: Uint8Array, random: SeededRandom): Uint8Array {
  if (random.chance(0.5)) return mutated(golden, [run, overlay], random);
  const bytes = golden.slice();
  for (let i = random.between(0, 4); i > 0; i--) bytes[random.between(0, bytes.length - 1)] = random.between(0, 255);
  return bytes;
}

function otherManifest(manifest: Uint8Array, random: SeededRandom): Uint8Array {
  const places: { readonly holder: Record<string, unknown>; readonly name: string }[] = [];
  const read = JSON.parse(utf8Text(manifest.subarray(20)) ?? "", function (this: Record<string, unknown>, name, value) {
    places.push({ holder: this, name });
    return value as unknown;
  }) as unknown;
  const { holder, name } = random.pick(places);
  if (random.chance(0.1)) delete holder[name];
  else holder[name] = random.pick([null, {}, [], [null], "", "../x", true, -1, 0, 0.5, 1, 2 ** 31, 2 ** 53, 1e300]);
  const text = utf8(JSON.stringify((name === "" ? holder[""] : read) ?? null));
  return concat([manifest.subarray(0, 20), text]);
}

function resealRun(bytes: Uint8Array): void {
  const footerAt = bytes.length - runFooterBytes;
  if (footerAt < 0) return;
  const pages = Math.min(Math.floor(footerAt / 4096), 3);
  for (let page = 0; page < pages; page++) {
    const part = bytes.subarray(page * 4096, (page + 1) * 4096);
    view(part).setUint32(0, crc32(part.subarray(4), page), true);
  }
  const footer = view(bytes.subarray(footerAt));
  footer.setUint32(20, crc32(bytes.subarray(pages * 4096, footerAt)), true);
  footer.setUint32(36, crc32(bytes.subarray(footerAt, footerAt + 36)), true);
}

/** The tables' checksums too, for as many tables as the directory has now. */
function resealOverlay(bytes: Uint8Array): void {
  const footerAt = bytes.length - overlayFooterBytes;
  if (footerAt < 0) return;
  const data = view(bytes);
  const directoryAt = footerAt - 12 * data.getUint32(footerAt + 12, true);
  if (directoryAt < 0) return;
  for (let entry = directoryAt, at = 0, table = 0; entry < footerAt; entry += 12, table++) {
    const end = at + 12 * data.getUint32(entry, true) + 4 * data.getUint32(entry + 4, true);
    if (end > directoryAt) break;
    data.setUint32(entry + 8, crc32(bytes.subarray(at, end), table), true);
    at = end;
  }
  data.setUint32(footerAt + 16, crc32(bytes.subarray(directoryAt, footerAt + 16)), true);
}

function sampleTable(keys: number): ChangeTable {
  const random = seededRandom(keys);
  const word = () => Math.floor(random() * 2 ** 32) | 0;
  const sample = new ChangeTable();
  for (let i = 0; i < keys; i++) sample.assign(word(), word() & key1Mask, i % 40 === 0 ? [i, i + 1, i + 2] : [i]);
  return sample;
}
