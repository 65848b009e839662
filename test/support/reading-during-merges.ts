import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";
import { type DiskStore, openDisk } from "../../core/entries/disk.ts";
import { type IndexBounds, indexBounds } from "../../core/lsm/index-bounds.ts";
import { seededRandom } from "./seeded-random.ts";

export interface MergingReport {
  readonly commits: number;
  /** Times that the index was merged and its manifest replaced. */
  readonly merges: number;
  readonly reads: number;
  /** Answers that no state of the payload had while it was asked for. */
  readonly wrong: readonly string[];
}

/** So small that some commits fill a lane, and that runs of three levels come to be. */
const bounds: IndexBounds = { ...indexBounds, lanes: 8, laneChangesMax: 64, level0KeysMax: 128, plainKeysMax: 0 };
const tenant = "t";
const groups = 40;
const idsOfGroup = 100;
const idsOfCommit = 24;

/** The real disk, on which manifests are counted. */
class ManifestCounter extends NodeFileSystem {
  manifests = 0;

  override rename(from: string, to: string): void {
    if (to.endsWith("/index/manifest")) this.manifests += 1;
    super.rename(from, to);
  }
}

/**
 * Writes without a pause to a folder whose index on disk merges again and again, while two readers of the writing process and two
 * that follow it compare every answer. Each payload says which version of it there is; one in eight commits deletes.
 *
 * Suspected: a look-up that meets a merge finds what was replaced, or nothing: an older version, one that is deleted, or none.
 */
export async function readDuringMerges(seed: number, ms: number): Promise<MergingReport> {
  const directory = await mkdtemp(path.join(tmpdir(), "paylode-merging-"));
  const fs = new ManifestCounter();
  const open = (readOnly: boolean) =>
    openDisk({ directory, index: "disk-hash", durability: "fast", readOnly }, { fs, indexBounds: bounds });
  const wrong: string[] = [];
  /** Of each id what was acknowledged last, and what is being written: a version, or 0 for a deletion. */
  const known = new Int32Array(groups * idsOfGroup);
  const coming = new Int32Array(groups * idsOfGroup);
  const counts = { commits: 0, reads: 0 };
  let going = true;
  const write = async (store: DiskStore): Promise<void> => {
    const random = seededRandom(seed);
    const end = performance.now() + ms;
    for (let version = 1; performance.now() < end && wrong.length === 0; version++) {
      const group = Math.floor(random() * groups);
      const first = Math.floor(random() * (idsOfGroup - idsOfCommit));
      const ids = Array.from({ length: idsOfCommit }, (_, i) => first + i);
      const deletes = version % 8 === 0;
      for (const id of ids) coming[group * idsOfGroup + id] = deletes ? 0 : version;
      if (deletes) await Promise.all(ids.map((id) => store.delete({ tenant, group: `${group}`, id: `${id}` })));
      else
        await store.appendMany(
          { tenant, group: `${group}` },
          ids.map((id) => ({ id: `${id}`, bytes: bytesOf(version, id) })),
        );
      for (const id of ids) known[group * idsOfGroup + id] = coming[group * idsOfGroup + id]!;
      counts.commits += 1;
    }
    going = false;
  };
  const read = async (store: DiskStore, reader: number): Promise<void> => {
    const random = seededRandom(1000 * seed + reader);
    while (going) {
      const at = Math.floor(random() * known.length);
      const [group, id] = [Math.floor(at / idsOfGroup), at % idsOfGroup];
      const [before, meanwhile] = [known[at]!, coming[at]!];
      const got = await store.get({ tenant, group: `${group}`, id: `${id}` });
      counts.reads += 1;
      const version = got ? Buffer.from(got).readUInt32LE(0) : 0;
      const isWhole = !got || Buffer.compare(got, bytesOf(version, id)) === 0;
      // What was changed twice while it was asked for may have been anything in between.
      const states = [before, meanwhile, known[at]!, coming[at]!];
      const between = version > Math.max(before, meanwhile) && version < coming[at]!;
      if (!isWhole || !(states.includes(version) || between))
        wrong.push(`reader ${reader}, ${group}/${id}: version ${version} and not ${states.join(", ")}`);
      if (counts.reads % 4 === 0) await setImmediate();
    }
  };
  try {
    const store = await open(false);
    await store.appendMany({ tenant, group: "0" }, [{ id: "0", bytes: bytesOf(0, 0) }]);
    await store.delete({ tenant, group: "0", id: "0" });
    const followers = [await open(true), await open(true)];
    const readers = [store, store, ...followers];
    await Promise.all([write(store), ...readers.map(read)]);
    for (const each of [...followers, store]) await each.close();
    return { ...counts, merges: fs.manifests, wrong };
  } finally {
    going = false;
    await rm(directory, { recursive: true, force: true });
  }
}

function bytesOf(version: number, id: number): Buffer {
  const bytes = Buffer.alloc(64, id);
  bytes.writeUInt32LE(version, 0);
  return bytes;
}
