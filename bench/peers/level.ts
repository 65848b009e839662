import type { PeerKind } from "../peer.ts";
import type { WorkKey } from "../work.ts";
import { load } from "./package.ts";
import { asIs, zstd, type Packing } from "./zstd.ts";

/** The part of classic-level that is used here: https://github.com/Level/classic-level */
interface LevelModule {
  ClassicLevel: new (
    directory: string,
    options: { keyEncoding: "utf8"; valueEncoding: "view"; compression: boolean },
  ) => {
    open(): Promise<void>;
    batch(
      operations: readonly { type: "put"; key: string; value: Uint8Array }[],
      options: { sync: boolean },
    ): Promise<void>;
    getSync(key: string): Uint8Array | undefined;
    values(range: { gte: string; lt: string }): { all(): Promise<Uint8Array[]> };
    close(): Promise<void>;
  };
}

function levelWith(name: string, packing: Packing): PeerKind {
  // What zstd has written gains nothing by Snappy.
  const compression = packing === asIs;
  return {
    name,
    durable: `\`sync: true\`; ${compression ? "Snappy blocks, its default" : "without Snappy"}`,
    load: async () => {
      const { ClassicLevel } = await load<LevelModule>("classic-level");
      return async (directory) => {
        const db = new ClassicLevel(directory, { keyEncoding: "utf8", valueEncoding: "view", compression });
        await db.open();
        return {
          write: ({ items }) =>
            db.batch(
              items.map((item) => ({ type: "put", key: nameOf(item), value: packing.pack(item.bytes) })),
              { sync: true },
            ),
          get: (key) => {
            const found = db.getSync(nameOf(key));
            return found && packing.unpack(found);
          },
          // `has` goes through the thread pool, and takes several times as long.
          has: (key) => db.getSync(nameOf(key)) !== undefined,
          group: async (group) => {
            const found = await db.values({ gte: `${group}/`, lt: `${group}0` }).all();
            return found.map((bytes) => packing.unpack(bytes));
          },
          close: () => db.close(),
        };
      };
    },
  };
}

function nameOf({ group, id }: WorkKey): string {
  return `${group}/${id}`;
}

export const level: PeerKind = levelWith("classic-level", asIs);
export const levelZstd: PeerKind = levelWith("classic-level + zstd", zstd);
