import type { DiskStore } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import type { IndexBounds } from "../../core/lsm/index-bounds.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { collect } from "../conformance/expectations.ts";
import { openWith } from "./crash-workload.ts";
import { PowerLossFileSystem } from "./power-loss-file-system.ts";
import { seededRandom } from "./seeded-random.ts";
import { smallIndex } from "./small-index.ts";

const tenant = "t";

/** What every id of a store has had: the last one counts, `undefined` where it is absent. */
export type History = ReadonlyMap<string, readonly (string | undefined)[]>;

export interface WrittenStore {
  readonly fs: PowerLossFileSystem;
  readonly history: History;
  /** Segment files, oldest first. */
  readonly files: readonly string[];
}

/** A store of five groups in about twelve segments: lone payloads, batches, overwrites, deletes, a group that was deleted. */
export async function writtenStore(seed: number, indexBounds?: Partial<IndexBounds>): Promise<WrittenStore> {
  const random = seededRandom(seed);
  const fs = new PowerLossFileSystem({ random: seededRandom(seed + 1) });
  const history = new Map<string, (string | undefined)[]>();
  const became = (group: string, id: string, value: string | undefined) =>
    void history.set(`${group} ${id}`, [...(history.get(`${group} ${id}`) ?? []), value]);
  const store = await opened(fs, seed, { indexBounds });
  for (let step = 0; step < 60; step++) {
    const group = `g${Math.floor(random() * 5)}`;
    const id = `id-${Math.floor(random() * 8)}`;
    const value = `${group} ${id} of step ${step} `.repeat(1 + Math.floor(random() * 20));
    const chance = random();
    if (chance < 0.15) {
      if (await store.delete({ tenant, group, id })) became(group, id, undefined);
    } else if (chance < 0.18 && group === "g4") {
      await store.deleteGroup({ tenant, group });
      for (const name of history.keys())
        if (name.startsWith(`${group} `)) became(group, name.split(" ")[1]!, undefined);
    } else if (chance < 0.4) {
      const items = [0, 1, 2].map((i) => ({ id: `id-${i}`, bytes: utf8(`${value}${i}`) }));
      await store.appendMany({ tenant, group }, items);
      for (const [i, item] of items.entries()) became(group, item.id, `${value}${i}`);
    } else {
      await store.append({ tenant, group, id }, utf8(value), { codec: step % 2 === 0 ? "lz4" : "none" });
      became(group, id, value);
    }
  }
  await store.close();
  const files = fs.files().filter((file) => file.endsWith(".seg"));
  return { fs, history, files };
}

export function opened(
  fs: FileSystem,
  seed: number,
  { indexBounds, ...options }: OpenOptions = {},
): Promise<DiskStore> {
  return openWith(fs, { segmentBytesMax: 1500, ...options }, seed, indexBounds);
}

interface OpenOptions {
  readonly rebuild?: boolean;
  readonly readOnly?: boolean;
  readonly indexBounds?: Partial<IndexBounds> | undefined;
}

/** Both kinds of index, for `describe.each`: what is said of segments must not depend on it. */
export const indexKinds = [
  ["in typed arrays", undefined],
  ["on disk", smallIndex],
] as const;

/** {@link writtenStore} and {@link opened} with an index of one kind. */
export function storesWith(indexBounds: Partial<IndexBounds> | undefined): {
  readonly writtenStore: (seed: number) => Promise<WrittenStore>;
  readonly opened: typeof opened;
} {
  return {
    writtenStore: (seed) => writtenStore(seed, indexBounds),
    opened: (fs, seed, options) => opened(fs, seed, { indexBounds, ...options }),
  };
}

export interface Answers {
  /** Answers that were never right, or are not any more. */
  readonly wrong: readonly string[];
  /** Ids that answer `CORRUPT`. */
  readonly corrupt: readonly string[];
  /** Ids that are absent although they have a payload. */
  readonly absent: readonly string[];
  /** Groups that cannot be listed. */
  readonly unlisted: readonly string[];
}

/** Asks for everything, in every way. */
export async function answersOf(store: DiskStore, history: History): Promise<Answers> {
  const wrong: string[] = [];
  const corrupt: string[] = [];
  const absent: string[] = [];
  const unlisted: string[] = [];
  for (const [name, values] of history) {
    const [group = "", id = ""] = name.split(" ");
    try {
      const bytes = await store.get({ tenant, group, id });
      const value = bytes && new TextDecoder().decode(bytes);
      if (value === undefined && values.at(-1) !== undefined) absent.push(name);
      else if (value !== values.at(-1))
        wrong.push(`${name} is ${value?.slice(0, 30)}, not ${values.at(-1)?.slice(0, 30)}`);
    } catch (error) {
      if (!isPayloadStoreError(error, "CORRUPT")) throw error;
      corrupt.push(name);
    }
  }
  for (const group of new Set([...history.keys()].map((name) => name.split(" ")[0]!))) {
    try {
      const listed = await collect(store.list({ tenant, group }));
      for (const { id } of listed)
        if (history.get(`${group} ${id}`)?.at(-1) === undefined) wrong.push(`${group} ${id} is listed`);
    } catch (error) {
      if (!isPayloadStoreError(error, "CORRUPT")) throw error;
      unlisted.push(group);
    }
  }
  return { wrong, corrupt, absent, unlisted };
}

/** Damages three files of a store, but not the newest: what is lost of its end cannot be told from a torn tail. */
export function damageSome(fs: PowerLossFileSystem, files: readonly string[], random: () => number): string {
  const left = files.slice(0, -1);
  const chosen = [0, 1, 2].map(() => left.splice(Math.floor(random() * left.length), 1)[0]!);
  return chosen.map((file) => damageFile(fs, file, random)).join(", ");
}

/** Damages a file as a disk does: a bit, a hole of zeros, a cut end, a lost file. @returns what was done */
function damageFile(fs: PowerLossFileSystem, file: string, random: () => number): string {
  const bytes = fs.readFile(file);
  const at = Math.floor(random() * bytes.length);
  const chance = random();
  if (chance < 0.4) {
    bytes[at]! ^= 1 << Math.floor(random() * 8);
    fs.writeFile(file, bytes);
    return `bit ${at} of ${file}`;
  }
  if (chance < 0.7) {
    fs.writeFile(file, bytes.fill(0, at, at + 200));
    return `hole ${at} of ${file}`;
  }
  if (chance < 0.85) {
    fs.writeFile(file, bytes.slice(0, at));
    return `cut ${at} of ${file}`;
  }
  fs.unlink(file);
  return `lost ${file}`;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
