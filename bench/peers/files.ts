import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import type { PeerKind } from "../peer.ts";

/** The naive rival: a file for each payload, a folder for each group, every file and its folder synced. */
export const files: PeerKind = {
  name: "a file each",
  durable: "fdatasync of each file, fsync of its folder",
  payloadsMax: 2_560,
  load: async () => (directory) => ({
    write: ({ group, items }) => {
      mkdirSync(path.join(directory, group), { recursive: true });
      for (const { id, bytes } of items) {
        const file = openSync(path.join(directory, group, id), "w");
        writeSync(file, bytes);
        fdatasyncSync(file);
        closeSync(file);
      }
      sync(path.join(directory, group));
      sync(directory);
    },
    get: ({ group, id }) => readFileSync(path.join(directory, group, id)),
    has: ({ group, id }) => existsSync(path.join(directory, group, id)),
    group: (group) => {
      const folder = path.join(directory, group);
      return readdirSync(folder).map((id) => readFileSync(path.join(folder, id)));
    },
    close: () => {},
  }),
};

function sync(directory: string): void {
  const folder = openSync(directory, "r");
  fsyncSync(folder);
  closeSync(folder);
}
