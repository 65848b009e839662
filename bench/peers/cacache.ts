import { closeSync, fdatasyncSync, fsyncSync, openSync } from "node:fs";
import path from "node:path";
import type { PeerKind } from "../peer.ts";
import type { WorkKey } from "../work.ts";
import { load } from "./package.ts";
import { asIs, zstd, type Packing } from "./zstd.ts";

/** The part of cacache that is used here: https://github.com/npm/cacache */
interface CacacheModule {
  default: {
    put(cache: string, key: string, data: Uint8Array): Promise<unknown>;
    get: ((cache: string, key: string) => Promise<{ data: Uint8Array }>) & {
      info(cache: string, key: string): Promise<{ readonly path: string } | null>;
    };
    ls(cache: string): Promise<Readonly<Record<string, unknown>>>;
    clearMemoized(): void;
  };
}

/** Where it keeps the file that leads from a key to its content: it syncs neither, so whoever wants that must know. */
interface EntryIndexModule {
  default: { bucketPath(cache: string, key: string): string };
}

function cacacheWith(name: string, packing: Packing): PeerKind {
  return {
    name,
    durable: "fdatasync of each file and of its entry, fsync of their folders: cacache itself syncs nothing",
    payloadsMax: 1_024,
    load: async () => {
      const { default: cacache } = await load<CacacheModule>("cacache");
      const { default: entries } = await load<EntryIndexModule>("cacache/lib/entry-index.js");
      return (directory) => ({
        write: async ({ items }) => {
          const written = await Promise.all(
            items.map(async (item) => {
              const key = nameOf(item);
              await cacache.put(directory, key, packing.pack(item.bytes));
              const info = await cacache.get.info(directory, key);
              return [info!.path, entries.bucketPath(directory, key)];
            }),
          );
          const names = new Set(written.flat());
          for (const file of names) sync(file, fdatasyncSync);
          for (const folder of foldersOf(names, directory)) sync(folder, fsyncSync);
        },
        get: async (key) => packing.unpack((await cacache.get(directory, nameOf(key))).data),
        has: async (key) => (await cacache.get.info(directory, nameOf(key))) !== null,
        // It has neither order nor ranges.
        group: async (group) => {
          const keys = Object.keys(await cacache.ls(directory)).filter((key) => key.startsWith(`${group}/`));
          return Promise.all(keys.map(async (key) => packing.unpack((await cacache.get(directory, key)).data)));
        },
        close: () => cacache.clearMemoized(),
      });
    },
  };
}

/** All folders between files and the store's own, which is among them. */
function foldersOf(files: Iterable<string>, root: string): Set<string> {
  const folders = new Set<string>([root]);
  for (const file of files) {
    for (let folder = path.dirname(file); !folders.has(folder); folder = path.dirname(folder)) folders.add(folder);
  }
  return folders;
}

function sync(name: string, by: (file: number) => void): void {
  const file = openSync(name, "r");
  by(file);
  closeSync(file);
}

function nameOf({ group, id }: WorkKey): string {
  return `${group}/${id}`;
}

export const cacache: PeerKind = cacacheWith("cacache", asIs);
export const cacacheZstd: PeerKind = cacacheWith("cacache + zstd", zstd);
