import { join } from "node:path";
import { utf8, utf8Text } from "../../bytes.ts";
import type { ErasureRecord } from "../../erasure/erasure.ts";
import { decodeErasure, encodeErasure, inOrder, isOpen } from "../../erasure/erasure-record.ts";
import { PayloadStoreError } from "../../errors.ts";
import type { Digest } from "../../ports/digest.ts";
import type { ErasureLedger } from "../../ports/erasure-ledger.ts";
import { crcText } from "../../segment/header.ts";
import { diskError, errorCode } from "./disk-error.ts";
import type { FileSystem } from "./file-system.ts";
import { ensureDirectory, readWhole, replaceFile } from "./files.ts";
import type { Layout } from "./layout.ts";

interface Ports {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
}

/** The ids of payloads are nobody else's business. */
const permissions = 0o600;

const suffix = ".json";

/** Erasures as files `erasures/<tenant>/<id>.json` of the store's folder, each replaced whole by the process that writes it. */
export class DiskErasureLedger implements ErasureLedger {
  readonly #ports: Ports;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  async put(record: ErasureRecord): Promise<boolean> {
    const { fs, layout, digest } = this.#ports;
    const path = layout.erasure(record.tenant, record.id);
    try {
      if ((this.#read(path)?.version ?? 0) !== record.version - 1) return false;
      await ensureDirectory(fs, layout.erasuresOf(record.tenant), "new erasure");
      const json = encodeErasure(record);
      const bytes = utf8(`${json}\n${crcText(digest.crc32(utf8(json)))}\n`);
      await replaceFile(fs, path, bytes, { file: "erasure", folder: "new erasure" }, permissions);
      return true;
    } catch (error) {
      throw diskError(error, `writing ${path} failed`);
    }
  }

  async get(tenant: string, id: string): Promise<ErasureRecord | undefined> {
    const path = this.#ports.layout.erasure(tenant, id);
    try {
      return this.#read(path);
    } catch (error) {
      throw diskError(error, `reading ${path} failed`);
    }
  }

  /** Cost: reads a file for each erasure there has been. */
  async list(tenant?: string): Promise<readonly ErasureRecord[]> {
    const { layout } = this.#ports;
    try {
      const tenants = tenant === undefined ? this.#names(layout.erasures) : [tenant];
      const paths = tenants.flatMap((owner) => {
        const folder = layout.erasuresOf(owner);
        const files = this.#names(folder).filter((name) => name.endsWith(suffix));
        return files.map((name) => join(folder, name));
      });
      return inOrder(paths.flatMap((path) => this.#read(path) ?? []));
    } catch (error) {
      throw diskError(error, `reading ${layout.erasures} failed`);
    }
  }

  async open(tenant?: string): Promise<readonly ErasureRecord[]> {
    return (await this.list(tenant)).filter(isOpen);
  }

  #read(path: string): ErasureRecord | undefined {
    const { fs, digest } = this.#ports;
    const bytes = readWhole(fs, path);
    if (!bytes) return undefined;
    const [json = "", crc] = (utf8Text(bytes) ?? "").split("\n");
    if (crc === crcText(digest.crc32(utf8(json)))) return decodeErasure(utf8(json), path);
    throw new PayloadStoreError("CORRUPT", `${path} is damaged: restore it from a copy, or ask for the erasure again`);
  }

  #names(folder: string): string[] {
    try {
      return this.#ports.fs.list(folder);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return [];
      throw error;
    }
  }
}
