import { utf8, utf8Text } from "../../bytes.ts";
import { PayloadStoreError, type ErrorDetails } from "../../errors.ts";
import type { FileSystem } from "./file-system.ts";
import { readWhole, removeFile, replaceFile } from "./files.ts";
import type { Layout } from "./layout.ts";

/** Who holds a store's folder: written beside the lock for people and for other processes. It is not the lock. */
export interface Holder {
  readonly pid: number;
  /** Where its server listens, if it serves. */
  readonly url?: string;
}

/** The right to write a store's folder. The kernel takes it back when the process ends, however it ends. */
export class StoreLock {
  readonly #fs: FileSystem;
  readonly #layout: Layout;
  readonly #release: () => void;
  readonly #pid: number;

  private constructor(fs: FileSystem, layout: Layout, pid: number, release: () => void) {
    this.#fs = fs;
    this.#layout = layout;
    this.#pid = pid;
    this.#release = release;
  }

  /** @throws {PayloadStoreError} `LOCKED`, with the holder's pid and URL as far as they are known */
  static async acquire(fs: FileSystem, layout: Layout, pid: number): Promise<StoreLock> {
    const lock = fs.lock(layout.lockFile);
    if (!lock) throw locked(layout, readHolder(fs, layout));
    const held = new StoreLock(fs, layout, pid, () => lock.release());
    try {
      await held.#write({ pid });
    } catch (error) {
      lock.release();
      throw error;
    }
    return held;
  }

  /** Tells other processes where this one serves the store. */
  announce(holder: { readonly url: string }): Promise<void> {
    return this.#write({ pid: this.#pid, url: holder.url });
  }

  release(): void {
    try {
      removeFile(this.#fs, this.#layout.holderFile);
    } catch {
      // A note that stays behind names a lock that is free; the next holder replaces it.
    }
    this.#release();
  }

  #write(holder: Holder): Promise<void> {
    return replaceFile(this.#fs, this.#layout.holderFile, utf8(`${JSON.stringify(holder)}\n`));
  }
}

function readHolder(fs: FileSystem, layout: Layout): Partial<Holder> {
  try {
    const json: unknown = JSON.parse(utf8Text(readWhole(fs, layout.holderFile) ?? new Uint8Array()) ?? "");
    const { pid, url } = json as Partial<Holder>;
    return { ...(typeof pid === "number" ? { pid } : {}), ...(typeof url === "string" ? { url } : {}) };
  } catch {
    return {};
  }
}

function locked(layout: Layout, holder: Partial<Holder>): PayloadStoreError {
  const who = holder.pid === undefined ? "another process" : `process ${holder.pid}`;
  const where = holder.url === undefined ? "" : `, which serves it at ${holder.url}`;
  const details: ErrorDetails = { ...holder };
  return new PayloadStoreError("LOCKED", `${layout.root} is held by ${who}${where}: use that server, or stop it`, {
    details,
  });
}
