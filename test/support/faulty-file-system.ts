import type { FileSystem, OpenFile } from "../../core/adapters/disk/file-system.ts";
import { platformError } from "./platform-error.ts";

export interface FaultPlan {
  /** The step that fails, once, counted from 1; `Infinity` only counts. */
  readonly failAt: number;
  /**
   * `before`: nothing happens, and an error is answered. `after`: it happens, and an error is answered. `short`: a write
   * or a read covers the first half of its bytes, and answers how many; all other steps fail before.
   */
  readonly how: "before" | "after" | "short";
  /** `EIO` unless given. `ENOSPC` is answered where space is taken; other steps have `EIO` in its place. */
  readonly code?: string;
  /** Counts, and fails, only steps that change what is on the disk: a process that ends at another one leaves what was there. */
  readonly changesOnly?: boolean;
}

export interface FaultyFileSystem extends FileSystem {
  /** Steps so far: every call but stat, size and close. */
  readonly steps: number;
  /** The step that failed, as text, once one did. */
  readonly failed: string | undefined;
}

/**
 * The same file system, of which one single step fails. A test counts the steps of its work first, then fails each.
 *
 * A lock is never taken when its step fails, nor is a file left open: an error is answered without the means to let go.
 * The sync that fails here loses nothing; for one that does, see {@link PowerLossFileSystem.failNextSync}.
 */
export function faultyFileSystem(inner: FileSystem, plan: FaultPlan): FaultyFileSystem {
  let steps = 0;
  let failed: string | undefined;

  /** Whether the step that begins now is the one, and the error for it. */
  const next = (call: string, path: string, takesSpace = false): Error | undefined => {
    const isChange = takesSpace || call === "unlink";
    if (plan.changesOnly === true && (!isChange || call === "lock")) return undefined;
    steps += 1;
    if (steps !== plan.failAt) return undefined;
    failed = `${call} ${path}`;
    const code = plan.code ?? "EIO";
    return platformError(code === "ENOSPC" && !takesSpace ? "EIO" : code, call, path);
  };

  const step = <Result>(fault: Error | undefined, run: () => Result, undo?: (result: Result) => void): Result => {
    if (fault === undefined) return run();
    if (plan.how === "after") {
      const result = run();
      undo?.(result);
    }
    throw fault;
  };

  const stepAsync = async (fault: Error | undefined, run: () => Promise<void>): Promise<void> => {
    if (fault === undefined || plan.how === "after") await run();
    if (fault !== undefined) throw fault;
  };

  const faultyFile = (path: string, file: OpenFile): OpenFile => ({
    size: () => file.size(),
    read(target, offset) {
      const fault = next("read", path);
      if (fault !== undefined && plan.how === "short") return file.read(firstHalf([target])[0] ?? target, offset);
      return step(fault, () => file.read(target, offset));
    },
    write(parts, offset) {
      const fault = next("write", path, true);
      if (fault !== undefined && plan.how === "short") return file.write(firstHalf(parts), offset);
      return step(fault, () => file.write(parts, offset));
    },
    sync: (reason) => stepAsync(next("fdatasync", path, true), () => file.sync(reason)),
    close: () => file.close(),
  });

  return {
    get steps() {
      return steps;
    },
    get failed() {
      return failed;
    },
    open(path, mode) {
      const fault = next("open", path, mode === "create");
      const file = step(
        fault,
        () => inner.open(path, mode),
        (opened) => opened.close(),
      );
      return faultyFile(path, file);
    },
    list(path) {
      return step(next("scandir", path), () => inner.list(path));
    },
    stat: (path) => inner.stat(path),
    freeBytes: (path) => inner.freeBytes(path),
    makeDirectory(path) {
      step(next("mkdir", path, true), () => inner.makeDirectory(path));
    },
    rename(from, to) {
      step(next("rename", from, true), () => inner.rename(from, to));
    },
    unlink(path) {
      step(next("unlink", path), () => inner.unlink(path));
    },
    syncDirectory: (path, reason) => stepAsync(next("fsync", path, true), () => inner.syncDirectory(path, reason)),
    lock(path) {
      return step(
        next("lock", path, true),
        () => inner.lock(path),
        (lock) => lock?.release(),
      );
    },
  };
}

function firstHalf(parts: readonly Uint8Array[]): Uint8Array[] {
  let left = Math.floor(parts.reduce((sum, part) => sum + part.length, 0) / 2);
  return parts.map((part) => {
    const first = part.subarray(0, left);
    left -= first.length;
    return first;
  });
}
