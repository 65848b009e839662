import { setTimeout as pause } from "node:timers/promises";
import { hasExpired, oldestFirst, type AccessKey } from "../../access/access-key.ts";
import { decodeKey, encodeKey } from "../../access/key-record.ts";
import { PayloadStoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type { KeyList, KeyStore } from "../../ports/key-store.ts";
import { diskError } from "./disk-error.ts";
import type { FileLock, FileStat, FileSystem } from "./file-system.ts";
import { ensureDirectory } from "./files.ts";
import { readKeysFile, writeKeysFile } from "./keys-file.ts";
import type { Layout } from "./layout.ts";

/** A file that changed as lately as this may change again without another time of change, in milliseconds. */
const settledMs = 2_000;

const lockPauseMs = 20;

interface ReadFile {
  readonly stat: FileStat;
  readonly readMs: number;
  readonly records: readonly KeyRecord[];
}

/** A key, and the JSON value that it stands in the file as; without a key where this release cannot read it. */
interface KeyRecord {
  readonly json: unknown;
  readonly key: AccessKey | undefined;
}

/**
 * Keys in `keys.json` of a store's folder.
 *
 * It is changed beside a server that holds the folder, and needs not the folder's lock: nothing else of the store refers
 * to the file, it is only ever replaced whole, and who changes it takes a lock of its own, `KEYS.LOCK`, and reads it anew
 * under that.
 */
export class DiskKeyStore implements KeyStore {
  readonly #fs: FileSystem;
  readonly #layout: Layout;
  readonly #digest: Digest;
  readonly #clock: Clock;
  #last: ReadFile | undefined;

  constructor(ports: {
    readonly fs: FileSystem;
    readonly layout: Layout;
    readonly digest: Digest;
    readonly clock: Clock;
  }) {
    this.#fs = ports.fs;
    this.#layout = ports.layout;
    this.#digest = ports.digest;
    this.#clock = ports.clock;
  }

  /** Whether the folder has, or has had, a key. Cost: one stat. @throws {PayloadStoreError} `UNAVAILABLE` */
  exists(): boolean {
    try {
      return this.#fs.stat(this.#layout.keysFile) !== undefined;
    } catch (error) {
      throw diskError(error, `looking for ${this.#layout.keysFile} failed`);
    }
  }

  /** Whether any key of any tenant opens anything now. @throws {PayloadStoreError} as `list` does */
  hasKeyInForce(): boolean {
    const nowMs = this.#clock.nowMs();
    return this.#read().some(({ key }) => key !== undefined && !hasExpired(key, nowMs));
  }

  /** Cost: one stat, and 10 µs a key when the file has changed. */
  async list(tenant: string): Promise<KeyList> {
    const records = this.#read();
    const keys = records.flatMap(({ key }) => (key?.tenant === tenant ? key : []));
    const unreadable = records.flatMap(({ json, key }) => (key === undefined ? idIn(json, tenant) : []));
    return { keys: oldestFirst(keys), unreadable };
  }

  async add(key: AccessKey): Promise<boolean> {
    return this.#change((records) => {
      if (records.some((record) => names(record, key))) return undefined;
      if (records.length < limits.keysPerFolderMax) return [...records, recordOf(key)];
      throw new PayloadStoreError("INVALID", `a folder may have ${limits.keysPerFolderMax} keys, and has as many`);
    });
  }

  async replace(before: AccessKey, after: AccessKey): Promise<boolean> {
    return this.#change((records) => withOther(records, before, [recordOf(after)]));
  }

  async remove(key: AccessKey): Promise<boolean> {
    return this.#change((records) => withOther(records, key, []));
  }

  #read(): readonly KeyRecord[] {
    try {
      const stat = this.#fs.stat(this.#layout.keysFile);
      if (stat === undefined) return [];
      const last = this.#last;
      const isSame = last?.stat.changedMs === stat.changedMs && last.stat.bytes === stat.bytes;
      if (isSame && last.readMs - stat.changedMs > settledMs) return last.records;
      // The stat came first, so that the next one shows what takes the file's place from now on.
      const readMs = this.#clock.nowMs();
      const records = (readKeysFile(this.#ports()) ?? []).map((json) => ({ json, key: decodeKey(json) }));
      this.#last = { stat, readMs, records };
      return records;
    } catch (error) {
      throw diskError(error, `reading ${this.#layout.keysFile} failed`);
    }
  }

  /** @param edit  gives what the file shall hold, `undefined` to leave it as it is */
  async #change(edit: (records: readonly KeyRecord[]) => readonly KeyRecord[] | undefined): Promise<boolean> {
    let lock: FileLock | undefined;
    try {
      await ensureDirectory(this.#fs, this.#layout.root, "new store");
      lock = await this.#lock();
      const edited = edit(this.#read());
      if (edited === undefined) return false;
      this.#last = undefined;
      await writeKeysFile(
        this.#ports(),
        edited.map(({ json }) => json),
      );
      return true;
    } catch (error) {
      throw diskError(error, `changing ${this.#layout.keysFile} failed`);
    } finally {
      lock?.release();
    }
  }

  async #lock(): Promise<FileLock> {
    for (let waitedMs = 0; waitedMs < limits.keysLockMsMax; waitedMs += lockPauseMs) {
      const lock = this.#fs.lock(this.#layout.keysLockFile);
      if (lock !== undefined) return lock;
      // Not always as long: two that ask in step would be refused in step.
      await pause(lockPauseMs * (0.5 + Math.random()));
    }
    throw new PayloadStoreError("LOCKED", `another process is changing the keys of ${this.#layout.root}: try again`);
  }

  #ports(): { readonly fs: FileSystem; readonly layout: Layout; readonly digest: Digest } {
    return { fs: this.#fs, layout: this.#layout, digest: this.#digest };
  }
}

function recordOf(key: AccessKey): KeyRecord {
  return { json: JSON.parse(encodeKey(key)) as unknown, key };
}

function names({ json }: KeyRecord, { tenant, id }: AccessKey): boolean {
  return idIn(json, tenant)[0] === id;
}

/** The id that a record names, if it is one of the tenant's. */
function idIn(json: unknown, tenant: string): readonly string[] {
  const record = json as { readonly tenant?: unknown; readonly id?: unknown } | null;
  return record?.tenant === tenant && typeof record.id === "string" ? [record.id] : [];
}

function withOther(
  records: readonly KeyRecord[],
  key: AccessKey,
  others: readonly KeyRecord[],
): readonly KeyRecord[] | undefined {
  const at = records.findIndex((record) => record.key !== undefined && encodeKey(record.key) === encodeKey(key));
  return at === -1 ? undefined : records.toSpliced(at, 1, ...others);
}
