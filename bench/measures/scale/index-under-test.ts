import { DiskHashIndex } from "../../../core/adapters/disk/disk-hash-index.ts";
import { Layout } from "../../../core/adapters/disk/layout.ts";
import { NodeFileSystem } from "../../../core/adapters/disk/node-file-system.ts";
import { systemClock } from "../../../core/adapters/node/clock.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../../core/adapters/node/random.ts";
import { indexBounds, type IndexBounds } from "../../../core/lsm/index-bounds.ts";
import { secret, type MadeUpFrames } from "./made-up-frames.ts";

/** The index on disk of a folder, of a store that has no payloads. */
export function diskIndex(
  directory: string,
  frames: MadeUpFrames,
  { readOnly = false, bounds = {} }: { readonly readOnly?: boolean; readonly bounds?: Partial<IndexBounds> } = {},
): DiskHashIndex {
  return new DiskHashIndex({
    fs: new NodeFileSystem(),
    layout: new Layout(directory),
    digest: nodeDigest,
    clock: systemClock,
    random: new SystemRandom(),
    secret,
    bounds: { ...indexBounds, ...bounds },
    readOnly,
    reader: frames,
    durable: () => undefined,
    flush: async () => {},
    stop: (error) => {
      throw error;
    },
    onDamage: () => {
      throw new Error("the index is damaged");
    },
    onGrowth: () => {},
  });
}

/** Opens what was saved. @returns how long that took, in ms */
export function load(index: DiskHashIndex): number {
  const start = performance.now();
  const loaded = index.load();
  const ms = performance.now() - start;
  if (loaded.kind !== "loaded") throw new Error("the index was not saved");
  return ms;
}

/** Sums over all runs of an index. */
export function runsOf(index: DiskHashIndex): {
  readonly keys: number;
  readonly bytes: number;
  readonly residentBytes: number;
} {
  const runs = index.map.lanes.flatMap((lane) => lane.runs.flatMap((run) => run ?? []));
  const sum = (of: (run: (typeof runs)[number]) => number) => runs.reduce((total, run) => total + of(run), 0);
  return {
    keys: sum((run) => run.keys),
    bytes: sum((run) => run.layout.bytes),
    residentBytes: sum((run) => run.residentBytes),
  };
}
