import * as path from "node:path";
import { setImmediate } from "node:timers/promises";
import type {
  DirectorySync,
  FileLock,
  FileStat,
  FileSync,
  FileSystem,
  OpenFile,
} from "../../core/adapters/disk/file-system.ts";
import { platformError } from "./platform-error.ts";
import { Directory, EntryTree, type Node } from "./power-loss-directory.ts";
import { Inode } from "./power-loss-inode.ts";

type SyncReason = FileSync | DirectorySync;
type SyncMatch = (path: string, reason: SyncReason) => boolean;

export interface PowerLossOptions {
  /** 0 ≤ x < 1, seeded: all that chance decides comes from here, in an order that the calls alone determine. */
  readonly random: () => number;
  /** What a sync waits for, so that others can begin meanwhile; `microtask` unless given. */
  readonly syncTakes?: "microtask" | "immediate" | (() => Promise<unknown>);
  /** Time of changes; the number of operations so far unless given. */
  readonly nowMs?: () => number;
  /** Writes each operation into {@link PowerLossFileSystem.trace}. */
  readonly trace?: boolean;
}

/**
 * A file system in memory that forgets what a machine may forget when its power fails: bytes without a sync of their
 * file, names without a sync of their folder. A store that was killed finds everything again in the page cache, so that
 * kills say nothing about syncs.
 *
 * It is harsher than the common file systems: to sync a new file does not make its name durable, names are written in
 * any order, and a rename between folders needs both synced. Within that, what survives is chosen at random.
 */
export class PowerLossFileSystem implements FileSystem {
  /** Operations so far; those of a test around the model ({@link readFile} …) do not count. */
  ops = 0;
  /** The operations, one a line, with their numbers; empty unless asked for. Goes on over power losses and kills. */
  readonly trace: string[] = [];
  /**
   * Runs before each operation takes effect, with its number. To take a {@link powerLoss} here, or to throw, ends a
   * process at any point of its code. Not handed on to what comes after a power loss.
   */
  beforeOperation: ((ops: number) => void) | undefined;

  readonly #options: PowerLossOptions;
  #tree: EntryTree;
  readonly #locked = new Set<Inode>();
  readonly #failures: SyncMatch[] = [];
  #ignored: ReadonlySet<SyncReason> = new Set();

  constructor(options: PowerLossOptions) {
    this.#options = options;
    this.#tree = new EntryTree(new Directory(0));
  }

  /** What the machine holds when it comes back after its power failed now. This one goes on, unaware. */
  powerLoss(): PowerLossFileSystem {
    return this.#successor("power loss", this.#tree.afterPowerLoss(this.#options.random));
  }

  /** What the next process finds after this one was killed now: all that was written, synced or not, and no lock. */
  kill(): PowerLossFileSystem {
    return this.#successor("kill", this.#tree.copy());
  }

  /** A second machine in the same state, with the same still unsynced; nobody holds a lock there. */
  clone(): PowerLossFileSystem {
    return this.#successor("clone", this.#tree.copy());
  }

  /**
   * The next sync that matches is answered with `EIO`. As on Linux, what it was to write is clean from then on: it can be
   * read until the power fails, no later sync writes it, and chance decides what of it the disk holds.
   */
  failNextSync(match: SyncMatch = () => true): void {
    this.#failures.push(match);
  }

  /** From now on, and after power losses, syncs for these reasons succeed and do nothing: a store that forgot them. */
  ignoreSyncs(reasons: ReadonlySet<SyncReason>): void {
    this.#ignored = reasons;
  }

  /** Paths of all files, sorted. */
  files(): string[] {
    return filesOf(this.#tree.root, "").toSorted();
  }

  readFile(file: string): Uint8Array {
    return this.#inode("read", file).view().slice();
  }

  /** Durable at once, with its folders, which are made where they are missing. */
  writeFile(file: string, bytes: Uint8Array): void {
    let directory = this.#tree.root;
    for (const name of namesOf(path.posix.dirname(file))) {
      const found = directory.entries.get(name) ?? new Directory(this.#nowMs());
      if (!(found instanceof Directory)) throw platformError("ENOTDIR", "write", file);
      this.#putDurably(directory, name, found);
      directory = found;
    }

    const name = path.posix.basename(file);
    const inode = directory.entries.get(name) ?? new Inode(new Uint8Array(0), 0, 0);
    if (!(inode instanceof Inode)) throw platformError("EISDIR", "write", file);
    inode.replace(bytes);
    inode.changedMs = this.#nowMs();
    this.#putDurably(directory, name, inode);
  }

  open(file: string, mode: "create" | "update" | "read"): OpenFile {
    this.#begin(() => `open ${file} to ${mode}`);
    if (mode !== "create") return this.#handle(file, this.#inode("open", file), mode === "update");

    const { directory, name } = this.#parent("open", file);
    if (directory.entries.has(name)) throw platformError("EEXIST", "open", file);
    return this.#handle(file, this.#createInode(directory, name), true);
  }

  list(directory: string): string[] {
    this.#begin(() => `list ${directory}`);
    return [...this.#directory("scandir", directory).entries.keys()];
  }

  stat(file: string): FileStat | undefined {
    const node = this.#find(file);
    if (node === undefined) return undefined;
    const isDirectory = node instanceof Directory;
    return { bytes: isDirectory ? 0 : node.length, isDirectory, changedMs: node.changedMs };
  }

  freeBytes(): number {
    return 2 ** 40;
  }

  makeDirectory(file: string): void {
    this.#begin(() => `mkdir ${file}`);
    const { directory, name } = this.#parent("mkdir", file);
    if (directory.entries.has(name)) throw platformError("EEXIST", "mkdir", file);

    this.#tree.apply({ directory, name, node: new Directory(this.#changed(directory)) });
  }

  rename(from: string, to: string): void {
    this.#begin(() => `rename ${from} to ${to}`);
    const source = this.#parent("rename", from);
    const target = this.#parent("rename", to);
    const node = source.directory.entries.get(source.name);
    const replaced = target.directory.entries.get(target.name);
    if (node === undefined) throw platformError("ENOENT", "rename", from);
    if (node === replaced) return;
    if (node instanceof Directory && `${to}/`.startsWith(`${from}/`)) throw platformError("EINVAL", "rename", from);
    if (replaced instanceof Directory) {
      if (!(node instanceof Directory)) throw platformError("EISDIR", "rename", to);
      if (replaced.entries.size > 0) throw platformError("ENOTEMPTY", "rename", to);
    } else if (replaced !== undefined && node instanceof Directory) throw platformError("ENOTDIR", "rename", to);

    this.#changed(source.directory);
    this.#changed(target.directory);
    this.#tree.apply({ ...source, node: undefined }, { ...target, node });
  }

  unlink(file: string): void {
    this.#begin(() => `unlink ${file}`);
    const { directory, name } = this.#parent("unlink", file);
    this.#inode("unlink", file);

    this.#changed(directory);
    this.#tree.apply({ directory, name, node: undefined });
  }

  async syncDirectory(file: string, reason: DirectorySync): Promise<void> {
    const directory = this.#directory("fsync", file);
    await this.#sync(file, reason, () => {
      const last = this.#tree.beginSync();
      return {
        end: () => this.#tree.endSync(directory, last),
        fail: () => this.#tree.failSync(directory, last),
      };
    });
  }

  /** As on the machine, the lock is a file that is made when it is missing, and stays. */
  lock(file: string): FileLock | undefined {
    this.#begin(() => `lock ${file}`);
    const { directory, name } = this.#parent("open", file);
    const inode = directory.entries.has(name) ? this.#inode("open", file) : this.#createInode(directory, name);
    if (this.#locked.has(inode)) return undefined;

    this.#locked.add(inode);
    let isHeld = true;
    return {
      release: () => {
        if (isHeld) this.#locked.delete(inode);
        isHeld = false;
      },
    };
  }

  #handle(file: string, inode: Inode, isWritable: boolean): OpenFile {
    let isClosed = false;
    const opened = (call: string, isAllowed = true): Inode => {
      if (isClosed || !isAllowed) throw platformError("EBADF", call, file);
      return inode;
    };

    return {
      size: () => opened("fstat").length,
      read: (target, offset) => {
        this.#begin(() => `read ${file} ${offset} + ${target.length}`);
        return opened("read").read(target, offset);
      },
      write: (parts, offset) => {
        this.#begin(() => `write ${file} ${offset} + ${parts.reduce((sum, part) => sum + part.length, 0)}`);
        const written = opened("write", isWritable).write(parts, offset);
        inode.changedMs = this.#nowMs();
        return written;
      },
      sync: async (reason) => {
        opened("fdatasync");
        await this.#sync(file, reason, () => {
          const point = inode.beginSync();
          return { end: () => inode.endSync(point), fail: () => inode.failSync(point) };
        });
      },
      close: () => {
        isClosed = true;
      },
    };
  }

  async #sync(file: string, reason: SyncReason, begin: () => { end(): void; fail(): void }): Promise<void> {
    this.#begin(() => `sync ${file} for ${reason}`);
    const operation = this.ops;
    const isIgnored = this.#ignored.has(reason);
    const fails = !isIgnored && this.#takeFailure(file, reason);
    const syncing = begin();

    await this.#pause();

    if (fails) syncing.fail();
    else if (!isIgnored) syncing.end();
    this.#note(() => `… sync ${operation} ${fails ? "failed" : isIgnored ? "was ignored" : "is done"}`);
    if (fails) throw platformError("EIO", "fsync", file);
  }

  #takeFailure(file: string, reason: SyncReason): boolean {
    const index = this.#failures.findIndex((match) => match(file, reason));
    if (index >= 0) this.#failures.splice(index, 1);
    return index >= 0;
  }

  async #pause(): Promise<void> {
    const { syncTakes = "microtask" } = this.#options;
    if (syncTakes === "microtask") await Promise.resolve();
    else if (syncTakes === "immediate") await setImmediate();
    else await syncTakes();
  }

  #begin(describe: () => string): void {
    this.ops += 1;
    this.#note(() => `${this.ops} ${describe()}`);
    this.beforeOperation?.(this.ops);
  }

  #note(describe: () => string): void {
    if (this.#options.trace === true) this.trace.push(describe());
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? this.ops;
  }

  #changed(directory: Directory): number {
    directory.changedMs = this.#nowMs();
    return directory.changedMs;
  }

  #createInode(directory: Directory, name: string): Inode {
    const inode = new Inode(new Uint8Array(0), 0, this.#changed(directory));
    this.#tree.apply({ directory, name, node: inode });
    return inode;
  }

  #putDurably(directory: Directory, name: string, node: Node): void {
    this.#tree.settleName(directory, name);
    directory.entries.set(name, node);
    directory.durable.set(name, node);
  }

  #successor(event: string, tree: EntryTree): PowerLossFileSystem {
    const next = new PowerLossFileSystem(this.#options);
    next.#tree = tree;
    next.#ignored = this.#ignored;
    next.trace.push(...this.trace);
    next.#note(() => `— ${event}`);
    return next;
  }

  #find(file: string): Node | undefined {
    let node: Node | undefined = this.#tree.root;
    for (const name of namesOf(file)) node = node instanceof Directory ? node.entries.get(name) : undefined;
    return node;
  }

  #inode(call: string, file: string): Inode {
    const node = this.#find(file);
    if (node === undefined) throw platformError("ENOENT", call, file);
    if (node instanceof Directory) throw platformError("EISDIR", call, file);
    return node;
  }

  #directory(call: string, file: string): Directory {
    const node = this.#find(file);
    if (node === undefined) throw platformError("ENOENT", call, file);
    if (!(node instanceof Directory)) throw platformError("ENOTDIR", call, file);
    return node;
  }

  #parent(call: string, file: string): { directory: Directory; name: string } {
    return { directory: this.#directory(call, path.posix.dirname(file)), name: path.posix.basename(file) };
  }
}

function namesOf(file: string): string[] {
  if (!file.startsWith("/")) throw new Error(`not an absolute path: ${file}`);
  return file.split("/").filter((name) => name !== "");
}

function filesOf(directory: Directory, prefix: string): string[] {
  return [...directory.entries].flatMap(([name, node]) =>
    node instanceof Directory ? filesOf(node, `${prefix}/${name}`) : [`${prefix}/${name}`],
  );
}
