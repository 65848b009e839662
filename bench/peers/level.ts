import type { PeerKind } from "../peer.ts";
import type { WorkKey } from "../work.ts";
import { load } from "./package.ts";

/** The part of classic-level that is used here: https://github.com/Level/classic-level */
interface LevelModule {
  ClassicLevel: new (
    directory: string,
    options: { keyEncoding: "utf8"; valueEncoding: "view" },
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

export const level: PeerKind = {
  name: "classic-level",
  durable: "`sync: true`; Snappy blocks, its default",
  load: async () => {
    const { ClassicLevel } = await load<LevelModule>("classic-level");
    return async (directory) => {
      const db = new ClassicLevel(directory, { keyEncoding: "utf8", valueEncoding: "view" });
      await db.open();
      return {
        write: ({ items }) =>
          db.batch(
            items.map((item) => ({ type: "put", key: nameOf(item), value: item.bytes })),
            { sync: true },
          ),
        get: (key) => db.getSync(nameOf(key)),
        // `has` goes through the thread pool, and takes several times as long.
        has: (key) => db.getSync(nameOf(key)) !== undefined,
        group: (group) => db.values({ gte: `${group}/`, lt: `${group}0` }).all(),
        close: () => db.close(),
      };
    };
  },
};

function nameOf({ group, id }: WorkKey): string {
  return `${group}/${id}`;
}
