import type { PeerKind } from "../peer.ts";
import type { WorkKey } from "../work.ts";
import { load } from "./package.ts";
import { asIs, zstd, type Packing } from "./zstd.ts";

/** The part of lmdb-js that is used here: https://github.com/kriszyp/lmdb-js */
interface LmdbModule {
  open(options: { path: string; encoding: "binary"; overlappingSync: boolean }): {
    transactionSync(work: () => void): void;
    batch(work: () => void): Promise<unknown>;
    put(key: string, value: Uint8Array): Promise<boolean>;
    putSync(key: string, value: Uint8Array): void;
    getBinary(key: string): Uint8Array | undefined;
    doesExist(key: string): boolean;
    getRange(range: { start: string; end: string }): Iterable<{ value: Uint8Array }>;
    close(): Promise<void>;
  };
}

function lmdbWith(name: string, packing: Packing): PeerKind {
  return {
    name,
    durable: "synchronous transaction, `overlappingSync: false`: synced when it returns",
    load: async () => {
      const module = await load<LmdbModule>("lmdb");
      return (directory) => {
        const db = module.open({ path: directory, encoding: "binary", overlappingSync: false });
        return {
          write: ({ items }) =>
            db.transactionSync(() => {
              for (const item of items) db.putSync(nameOf(item), packing.pack(item.bytes));
            }),
          writeTogether: async ({ items }) => {
            await db.batch(() => {
              for (const item of items) void db.put(nameOf(item), packing.pack(item.bytes));
            });
          },
          get: (key) => {
            const found = db.getBinary(nameOf(key));
            return found && packing.unpack(found);
          },
          has: (key) => db.doesExist(nameOf(key)),
          group: (group) =>
            Array.from(db.getRange({ start: `${group}/`, end: `${group}0` }), ({ value }) => packing.unpack(value)),
          close: () => db.close(),
        };
      };
    },
  };
}

function nameOf({ group, id }: WorkKey): string {
  return `${group}/${id}`;
}

export const lmdb: PeerKind = lmdbWith("lmdb", asIs);
export const lmdbZstd: PeerKind = lmdbWith("lmdb + zstd", zstd);
