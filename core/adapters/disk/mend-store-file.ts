import { isPayloadStoreError } from "../../errors.ts";
import type { Digest } from "../../ports/digest.ts";
import type { FileSystem } from "./file-system.ts";
import type { Layout } from "./layout.ts";
import { readStoreFile, createStoreFile } from "./store-file.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";

/** Makes `store.json` anew if it cannot be read, and keeps that as `store.json.damaged`. */
export async function mendStoreFile(ports: {
  fs: FileSystem;
  layout: Layout;
  clock: Clock;
  random: Random;
  digest: Digest;
}): Promise<void> {
  const { fs, layout } = ports;
  try {
    readStoreFile(ports);
  } catch (error) {
    if (!isPayloadStoreError(error, "CORRUPT")) throw error;
    if (fs.stat(layout.storeFile)) fs.rename(layout.storeFile, `${layout.storeFile}.damaged`);
    await createStoreFile(ports);
  }
}
