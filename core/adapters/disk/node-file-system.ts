import * as fs from "node:fs";
import * as path from "node:path";
import type * as Sqlite from "node:sqlite";
import type { DirectorySync, FileLock, FileStat, FileSync, FileSystem, OpenFile } from "./file-system.ts";

/**
 * The machine's own file system, by node:fs; the lock is SQLite's, by node:sqlite.
 *
 * Files are opened close-on-exec, so no child inherits one.
 */
export class NodeFileSystem implements FileSystem {
  open(file: string, mode: "create" | "update" | "read", permissions?: number): OpenFile {
    return new NodeFile(fs.openSync(file, openFlags[mode], permissions));
  }

  list(directory: string): string[] {
    return fs.readdirSync(directory);
  }

  freeBytes(folder: string): number {
    const { bavail, bsize } = fs.statfsSync(folder);
    return bavail * bsize;
  }

  stat(file: string): FileStat | undefined {
    const stats = fs.statSync(file, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    return { bytes: stats.size, isDirectory: stats.isDirectory(), changedMs: stats.mtimeMs };
  }

  makeDirectory(directory: string): void {
    fs.mkdirSync(directory);
  }

  rename(from: string, to: string): void {
    fs.renameSync(from, to);
  }

  unlink(file: string): void {
    fs.unlinkSync(file);
  }

  async syncDirectory(directory: string, _reason: DirectorySync): Promise<void> {
    const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      await settled((done) => fs.fsync(fd, done));
    } finally {
      fs.closeSync(fd);
    }
  }

  /**
   * An exclusive SQLite transaction on the file, which stays empty. The kernel ends it with the process, whatever ends
   * that; a file that names a pid would outlive a kill, and name another process once the pid is used again (in a
   * container every server is pid 1). Other connections of this process, in any of its threads, are refused by SQLite.
   *
   * POSIX locks belong to the process and the inode: they are lost when this process opens and closes the locked file
   * by any other way (https://sqlite.org/howtocorrupt.html §2.2), so nothing else may open it, not to copy it either.
   * Who unlinks a held lock file lets a second holder in. Of two that ask at the same moment both may be refused.
   *
   * Cost: 0.2–0.4 ms to load SQLite, once in a process and at the first lock; then 55 µs to lock and release, 35 µs to
   * be refused (Node 24.21, two cores).
   */
  lock(file: string): FileLock | undefined {
    const database = openExclusively(file);
    if (database === undefined) return undefined;

    held.add(database);
    return {
      release() {
        if (held.delete(database)) database.close();
      },
    };
  }
}

const openFlags = { create: "wx+", update: "r+", read: "r" } as const;

/** IOV_MAX of Linux and macOS: a call with more parts is refused (POSIX writev, EINVAL). */
const partsPerCallMax = 1024;

class NodeFile implements OpenFile {
  readonly #fd: number;
  #syncing = 0;
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  size(): number {
    return fs.fstatSync(this.#openFd()).size;
  }

  read(target: Uint8Array, offset: number): number {
    const fd = this.#openFd();
    let bytes = 0;
    // The kernel may answer with fewer bytes than there are; only no bytes at all mean the end.
    while (bytes < target.length) {
      const more = fs.readSync(fd, target, bytes, target.length - bytes, offset + bytes);
      if (more === 0) break;
      bytes += more;
    }
    return bytes;
  }

  write(parts: readonly Uint8Array[], offset: number): number {
    const fd = this.#openFd();
    if (parts.length <= partsPerCallMax) return fs.writevSync(fd, parts, offset);

    let bytes = 0;
    for (let first = 0; first < parts.length; first += partsPerCallMax) {
      const some = parts.slice(first, first + partsPerCallMax);
      const written = fs.writevSync(fd, some, offset + bytes);
      bytes += written;
      if (written < some.reduce((sum, part) => sum + part.length, 0)) break;
    }
    return bytes;
  }

  async sync(_reason: FileSync): Promise<void> {
    const fd = this.#openFd();
    this.#syncing += 1;
    try {
      // The callback form: node:fs/promises works on a FileHandle only, and that has no synchronous read.
      await settled((done) => fs.fdatasync(fd, done));
    } finally {
      this.#syncing -= 1;
      this.#closeIfDone();
    }
  }

  /** Waits with the descriptor for syncs under way: its number would name the next file opened, and sync that. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#closed && this.#syncing === 0) fs.closeSync(this.#fd);
  }

  /** A descriptor that was closed may already be another file's. */
  #openFd(): number {
    if (this.#closed) throw Object.assign(new Error("EBADF: the file is closed"), { code: "EBADF" });
    return this.#fd;
  }
}

/** node:sqlite closes a connection that nothing refers to, and its lock would go with it. */
const held = new Set<Sqlite.DatabaseSync>();

function openExclusively(file: string): Sqlite.DatabaseSync | undefined {
  const { DatabaseSync } = loadSqlite();
  let database: Sqlite.DatabaseSync | undefined;
  try {
    // Never waits: 0 is also the default (`PRAGMA busy_timeout`, Node 24.6 and 24.21), but it would be this thread that waits.
    database = new DatabaseSync(file, { timeout: 0 });
    // The write is never committed. It fails where the file is read-only: there BEGIN EXCLUSIVE alone would succeed with a
    // shared lock. With its journal in memory, nothing lies beside the file while it is held, or after a kill.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE; PRAGMA user_version = 1");
    return database;
  } catch (error) {
    database?.close();
    // The low byte is the primary code; the rest tells variants apart.
    const errcode = ((error as { errcode?: number }).errcode ?? 0) & 0xff;
    if (errcode === sqlite.busy) return undefined;
    // SQLite does not tell why; asking again in its place yields the platform's error (ENOENT, EACCES, EROFS).
    if (errcode === sqlite.cannotOpen) fs.accessSync(path.dirname(file), fs.constants.W_OK);
    if (errcode === sqlite.cannotOpen || errcode === sqlite.readOnly) fs.accessSync(file, fs.constants.W_OK);
    throw error;
  }
}

/** Result codes: https://sqlite.org/rescode.html. */
const sqlite = { busy: 5, readOnly: 8, cannotOpen: 14 } as const;

/**
 * Loads SQLite when the first lock is taken, so that readers never do.
 *
 * Node 24.6 prints an ExperimentalWarning at the first load, 24.21 none. The warning is emitted while the module is
 * evaluated, so it is left out by standing in for `emitWarning` for just that synchronous moment.
 */
function loadSqlite(): typeof Sqlite {
  if (loadedSqlite !== undefined) return loadedSqlite;

  // oxlint-disable-next-line typescript/unbound-method -- put back as it was, and called on its process below
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]): void => {
    if (rest[0] === "ExperimentalWarning") return;
    Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
  try {
    loadedSqlite = process.getBuiltinModule("node:sqlite");
    return loadedSqlite;
  } finally {
    process.emitWarning = emitWarning;
  }
}

let loadedSqlite: typeof Sqlite | undefined;

function settled(start: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}
