import { Inode } from "./power-loss-inode.ts";

export type Node = Directory | Inode;

/** A folder: the entries that a process sees, and those that the disk holds. */
export class Directory {
  readonly entries: Map<string, Node> = new Map();
  readonly durable: Map<string, Node> = new Map();
  changedMs: number;

  constructor(changedMs: number) {
    this.changedMs = changedMs;
  }
}

export interface EntryChange {
  readonly directory: Directory;
  readonly name: string;
  /** What the name leads to from now on; `undefined` takes the name away. */
  readonly node: Node | undefined;
}

interface EntryOperation {
  /** One name, or the two of a rename, which happen together or not at all. */
  readonly changes: readonly EntryChange[];
  readonly order: number;
  /** Folders whose sync is still to come. */
  readonly unsynced: Set<Directory>;
  /** A sync of it failed, so that no later one makes it durable. */
  failed: boolean;
}

/**
 * The tree of folders with the operations on names that no sync has made durable, in their order.
 *
 * Operations on one name keep their order, so one is durable only with those before it on its names; all others are
 * independent of each other.
 */
export class EntryTree {
  readonly root: Directory;
  #pending: EntryOperation[] = [];
  #order = 0;

  constructor(root: Directory) {
    this.root = root;
  }

  apply(...changes: readonly EntryChange[]): void {
    for (const { directory, name, node } of changes) {
      if (node === undefined) directory.entries.delete(name);
      else directory.entries.set(name, node);
    }
    this.#order += 1;
    const unsynced = new Set(changes.map(({ directory }) => directory));
    this.#pending.push({ changes, order: this.#order, unsynced, failed: false });
  }

  /** The last operation that a sync which begins now covers. */
  beginSync(): number {
    return this.#order;
  }

  endSync(directory: Directory, last: number): void {
    for (const operation of this.#pending) {
      if (operation.order <= last && !operation.failed) operation.unsynced.delete(directory);
    }
    this.#settle((operation) => operation.unsynced.size === 0, new Names());
  }

  failSync(directory: Directory, last: number): void {
    for (const operation of this.#pending) {
      if (operation.order <= last && operation.unsynced.has(directory)) operation.failed = true;
    }
  }

  /** Makes a name durable as it is now. */
  settleName(directory: Directory, name: string): void {
    const names = new Names();
    names.add([{ directory, name, node: undefined }]);
    this.#settle(() => false, names);
  }

  /** The same tree in another machine, with the same of it unsynced. */
  copy(): EntryTree {
    const inodes = new Map<Inode, Inode>();
    const directories = new Map<Directory, Directory>();
    const copyOf = (node: Node): Node => {
      if (node instanceof Directory) return directoryOf(node);
      const copy = inodes.get(node) ?? node.copy();
      inodes.set(node, copy);
      return copy;
    };
    const directoryOf = (directory: Directory): Directory => {
      const known = directories.get(directory);
      if (known !== undefined) return known;
      const copy = new Directory(directory.changedMs);
      directories.set(directory, copy);
      for (const [name, node] of directory.entries) copy.entries.set(name, copyOf(node));
      for (const [name, node] of directory.durable) copy.durable.set(name, copyOf(node));
      return copy;
    };

    const tree = new EntryTree(directoryOf(this.root));
    tree.#order = this.#order;
    tree.#pending = this.#pending.map(({ changes, order, unsynced, failed }) => ({
      changes: changes.map(({ directory, name, node }) => ({
        directory: directoryOf(directory),
        name,
        node: node === undefined ? undefined : copyOf(node),
      })),
      order,
      unsynced: new Set([...unsynced].map(directoryOf)),
      failed,
    }));
    return tree;
  }

  /** What a machine finds after its power failed now. A folder that is gone takes its children with it. */
  afterPowerLoss(random: () => number): EntryTree {
    const survived = new Map<Directory, Map<string, Node | undefined>>();
    for (const { directory, name, node } of this.#survivors(random).flatMap(({ changes }) => changes)) {
      const names = survived.get(directory) ?? new Map<string, Node | undefined>();
      survived.set(directory, names.set(name, node));
    }

    const rebuilt = (directory: Directory): Directory => {
      const copy = new Directory(directory.changedMs);
      for (const [name, node] of new Map([...directory.durable, ...(survived.get(directory) ?? [])])) {
        if (node === undefined) continue;
        const found = node instanceof Inode ? node.afterPowerLoss(random) : rebuilt(node);
        copy.durable.set(name, found);
        copy.entries.set(name, found);
      }
      return copy;
    };
    return new EntryTree(rebuilt(this.root));
  }

  /** All of them, none, all up to one, or each for itself; but none without those before it on its names. */
  #survivors(random: () => number): EntryOperation[] {
    if (this.#pending.length === 0) return [];
    const temper = random();
    const prefix = Math.floor(random() * (this.#pending.length + 1));
    const keeps = random();
    const lost = new Names();
    /** A rename into a folder that never came to be has not happened either. */
    const lostNodes = new Set<Node>();

    return this.#pending.filter(({ changes, failed }, index) => {
      const kept = failed
        ? random() < 0.5
        : temper < 0.2 || (temper >= 0.4 && (temper < 0.6 ? index < prefix : random() < keeps));
      if (kept && !lost.hasAny(changes) && !changes.some(({ directory }) => lostNodes.has(directory))) return true;
      lost.add(changes);
      for (const { node } of changes) if (node !== undefined) lostNodes.add(node);
      return false;
    });
  }

  /** Writes operations to the durable entries, with all that came before them on their names. */
  #settle(isDurable: (operation: EntryOperation) => boolean, names: Names): void {
    const settled = new Set<EntryOperation>();
    for (const operation of this.#pending.toReversed()) {
      if (!isDurable(operation) && !names.hasAny(operation.changes)) continue;
      settled.add(operation);
      names.add(operation.changes);
    }
    if (settled.size === 0) return;

    for (const { directory, name, node } of [...settled].toReversed().flatMap(({ changes }) => changes)) {
      if (node === undefined) directory.durable.delete(name);
      else directory.durable.set(name, node);
    }
    this.#pending = this.#pending.filter((operation) => !settled.has(operation));
  }
}

/** A set of names, each in its folder. */
class Names {
  readonly #names = new Map<Directory, Set<string>>();

  add(changes: readonly EntryChange[]): void {
    for (const { directory, name } of changes) {
      const names = this.#names.get(directory);
      if (names === undefined) this.#names.set(directory, new Set([name]));
      else names.add(name);
    }
  }

  hasAny(changes: readonly EntryChange[]): boolean {
    return changes.some(({ directory, name }) => this.#names.get(directory)?.has(name) === true);
  }
}
