import type { FileSync, FileSystem, OpenFile } from "../../core/adapters/disk/file-system.ts";

/** The same file system, which counts how often its user waits for the disk, and reads segments. */
export class CountingFileSystem implements FileSystem {
  readonly #inner: FileSystem;
  /** Syncs of files and folders so far. */
  syncs = 0;
  /** Those of files, by what they were for. */
  readonly syncsFor: Map<FileSync, number> = new Map();
  /** Reads of segments so far. */
  segmentReads = 0;

  constructor(inner: FileSystem) {
    this.#inner = inner;
  }

  open(path: string, mode: "create" | "update" | "read"): OpenFile {
    const file = this.#inner.open(path, mode);
    return {
      size: () => file.size(),
      read: (target, offset) => {
        if (path.endsWith(".seg")) this.segmentReads += 1;
        return file.read(target, offset);
      },
      write: (parts, offset) => file.write(parts, offset),
      sync: (reason) => {
        this.syncs += 1;
        this.syncsFor.set(reason, (this.syncsFor.get(reason) ?? 0) + 1);
        return file.sync(reason);
      },
      close: () => file.close(),
    };
  }

  list(path: string): string[] {
    return this.#inner.list(path);
  }

  stat(path: string): ReturnType<FileSystem["stat"]> {
    return this.#inner.stat(path);
  }

  freeBytes(path: string): number {
    return this.#inner.freeBytes(path);
  }

  makeDirectory(path: string): void {
    this.#inner.makeDirectory(path);
  }

  rename(from: string, to: string): void {
    this.#inner.rename(from, to);
  }

  unlink(path: string): void {
    this.#inner.unlink(path);
  }

  syncDirectory(...call: Parameters<FileSystem["syncDirectory"]>): Promise<void> {
    this.syncs += 1;
    return this.#inner.syncDirectory(...call);
  }

  lock(path: string): ReturnType<FileSystem["lock"]> {
    return this.#inner.lock(path);
  }
}
