/**
 * The narrow file system that the disk adapter stands on: every byte and every sync goes through it, so a test can put a
 * double behind it that loses power, fails or cuts short any single step.
 *
 * Paths are absolute. Errors are the platform's own, with `code` (`ENOENT`, `ENOSPC`, `EIO` …). Reads and writes of the
 * page cache are synchronous, because a promise costs thirty times the read (25–35 µs against 1 µs); what waits for the
 * disk is not.
 */
export interface FileSystem {
  /**
   * `create`: read and write, fails with `EEXIST` if it exists. `update`: read and write, fails with `ENOENT`.
   * `read`: read only. `permissions` are of a file that is made; without them, what the umask leaves of 0666.
   */
  open(path: string, mode: "create" | "update" | "read", permissions?: number): OpenFile;

  /** Names in a folder, unsorted. `ENOENT` if there is none. */
  list(path: string): string[];

  stat(path: string): FileStat | undefined;

  /** Makes one folder; `EEXIST` if it is there. Not durable until its parent is synced. */
  makeDirectory(path: string): void;

  /** Replaces the target. Not durable until the folder (both folders) is synced. */
  rename(from: string, to: string): void;

  /** Not durable until the folder is synced. */
  unlink(path: string): void;

  /** Room that is left where a folder lies, in bytes. */
  freeBytes(path: string): number;

  /** Makes the folder's entries durable: fsync of the directory. */
  syncDirectory(path: string, reason: DirectorySync): Promise<void>;

  /**
   * Takes the exclusive lock of a store folder, which goes with its process, also at kill -9.
   * @returns the lock, or `undefined` while another process, or another opener of this one, holds it
   */
  lock(path: string): FileLock | undefined;
}

export interface FileStat {
  readonly bytes: number;
  readonly isDirectory: boolean;
  /** Time of the last change of the file, or of the folder's entries, in milliseconds since 1970. */
  readonly changedMs: number;
}

export interface OpenFile {
  /** Length in bytes, now. */
  size(): number;

  /** Reads up to `target.length` bytes at `offset`; returns how many, fewer at the end of the file only. */
  read(target: Uint8Array, offset: number): number;

  /**
   * Writes the parts one after the other at `offset`; returns how many bytes were written, which may be fewer than all.
   * In the page cache only, until {@link sync}.
   */
  write(parts: readonly Uint8Array[], offset: number): number;

  /**
   * Makes written bytes and the length durable: fdatasync.
   *
   * After a failure what was not yet durable may be lost although a later sync succeeds, so a failed file is not used again.
   */
  sync(reason: FileSync): Promise<void>;

  close(): void;
}

export interface FileLock {
  release(): void;
}

/** Why a file is synced. Each is needed: a test removes them one by one and loses data, or work, to a power cut. */
export const fileSyncs = [
  "frames",
  "seal",
  "header",
  "checkpoint",
  "store.json",
  "keys.json",
  "erasure",
  "repair",
  "index pages",
  "index run",
  "index overlay",
  "index manifest",
] as const;
export type FileSync = (typeof fileSyncs)[number];

/** Why a folder is synced; each is needed, as above. */
export const directorySyncs = [
  "new store",
  "new store folder",
  "new tenant",
  "new segment",
  "removed segment",
  "removed upload",
  "new checkpoint",
  "new store.json",
  "new keys.json",
  "new erasure",
  "repair",
  "quarantine",
  "new index files",
  "new index manifest",
  "old index",
] as const;
export type DirectorySync = (typeof directorySyncs)[number];
