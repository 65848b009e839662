import { openDisk, type DiskOptions, type DiskStore, type Machine } from "../../core/entries/disk.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import type { StoreUnderTest } from "../conformance/payload-store.suite.ts";
import { CountingFileSystem } from "./counting-file-system.ts";

/** Opens a disk store for a test of the conformance suite, with all that a disk store can do. */
export async function diskUnderTest(
  options: DiskOptions,
  machine: Partial<Machine> & { readonly fs: FileSystem },
  removeFiles: () => Promise<void>,
): Promise<Required<StoreUnderTest>> {
  const fs = new CountingFileSystem(machine.fs);
  const opened: DiskStore[] = [];
  const open = async (more: Partial<DiskOptions>) => {
    const store = await openDisk({ ...options, ...more }, { ...machine, fs });
    opened.push(store);
    return store;
  };
  const store = await open({});
  let writer = store;
  return {
    store,
    reopen: async () => {
      await writer.close();
      writer = await open({});
      return writer;
    },
    openReader: () => open({ readOnly: true }),
    syncs: () => fs.syncs,
    end: async () => {
      await Promise.all(opened.map((each) => each.close()));
      await removeFiles();
    },
  };
}
