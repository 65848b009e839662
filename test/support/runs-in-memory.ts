import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { concat } from "../../core/bytes.ts";
import { buildRun, type RunSource } from "../../core/lsm/build-run.ts";
import { ChangeTable } from "../../core/lsm/change-table.ts";
import type { Lane } from "../../core/lsm/lane-map.ts";
import { MergeSpace } from "../../core/lsm/merge-space.ts";
import { overlaySource } from "../../core/lsm/overlay-source.ts";
import { Run, type ReadableFile } from "../../core/lsm/run.ts";
import { encodeOverlay } from "../../core/lsm/saved-overlay.ts";

const crc32 = (bytes: Uint8Array, seed?: number) => nodeDigest.crc32(bytes, seed);

/** The bytes of a run that is built from these sources, oldest first; `undefined` when no key is left. */
export function runBytes(sources: readonly RunSource[], bottom: boolean): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  const building = buildRun({
    sources,
    bottom,
    write: (bytes) => parts.push(bytes.slice()),
    crc32,
    space: new MergeSpace(),
  });
  while (building.next().done !== true);
  return parts.length === 0 ? undefined : concat(parts);
}

/** The bytes of these tables, as a save writes them. */
export function overlayBytes(tables: readonly ChangeTable[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const _ of encodeOverlay(tables, (bytes) => parts.push(bytes.slice()), crc32));
  return concat(parts);
}

export function openRun(bytes: Uint8Array, file: ReadableFile = memoryFile(bytes)): Run {
  return new Run("run", file, bytes.length, crc32);
}

export function memoryFile(bytes: Uint8Array): ReadableFile {
  return {
    read: (target, offset) => {
      const part = bytes.subarray(offset, offset + target.length);
      target.set(part);
      return part.length;
    },
    close: () => {},
  };
}

/** Merges a lane's changes and its runs down to a level, as the index on disk does. */
export function mergeLane(lane: Lane, level: number): void {
  const merged = lane.runs.slice(0, level + 1).flatMap((run) => run ?? []);
  const bottom = lane.runs.slice(level + 1).every((run) => run === undefined);
  const bytes = runBytes([...merged.toReversed(), overlaySource(lane.overlay)], bottom);
  lane.overlay = new ChangeTable();
  lane.runs.fill(undefined, 0, level);
  lane.runs[level] = bytes && openRun(bytes);
}
