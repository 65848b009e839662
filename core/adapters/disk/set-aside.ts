import { isPayloadStoreError } from "../../errors.ts";
import type { Digest } from "../../ports/digest.ts";
import { setManifestAside } from "./disk-index.ts";
import type { FileSystem } from "./file-system.ts";
import type { Layout } from "./layout.ts";
import { readStoreFile, createStoreFile } from "./store-file.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";

/** Moves what a rebuild makes anew out of the way, as `….damaged`: the saved index, and `store.json` if it cannot be read. */
export async function setAside(ports: {
  fs: FileSystem;
  layout: Layout;
  clock: Clock;
  random: Random;
  digest: Digest;
}): Promise<void> {
  const { fs, layout } = ports;
  setManifestAside(fs, layout);
  if (fs.stat(layout.checkpoint)) fs.rename(layout.checkpoint, `${layout.checkpoint}.damaged`);
  try {
    readStoreFile(ports);
  } catch (error) {
    if (!isPayloadStoreError(error, "CORRUPT")) throw error;
    if (fs.stat(layout.storeFile)) fs.rename(layout.storeFile, `${layout.storeFile}.damaged`);
    await createStoreFile(ports);
  }
}
