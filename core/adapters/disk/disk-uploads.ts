import { PayloadStoreError } from "../../errors.ts";
import type { ReclaimingUploads, UploadSummary } from "../../ports/upload-store.ts";
import { isSegmentName } from "../../segment/name.ts";
import { dirname, join } from "node:path";
import { diskError, errorCode } from "./disk-error.ts";
import { listOrNothing } from "./disk-segment-store.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";
import { readUpTo, removeFile } from "./files.ts";
import type { Layout } from "./layout.ts";

/** Uploads that came with a copy of a bucket, as files `uploads/<tenant>/<name>`. A store in a folder takes none itself. */
export class DiskUploads implements ReclaimingUploads {
  readonly #fs: FileSystem;
  readonly #layout: Layout;

  constructor(ports: { readonly fs: FileSystem; readonly layout: Layout }) {
    this.#fs = ports.fs;
    this.#layout = ports.layout;
  }

  async size(tenant: string, name: string): Promise<number | undefined> {
    return this.#fs.stat(this.#layout.upload(tenant, name))?.bytes;
  }

  async list(): Promise<UploadSummary[]> {
    try {
      return this.#list();
    } catch (error) {
      throw diskError(error, "listing the uploads failed");
    }
  }

  #list(): UploadSummary[] {
    const found: UploadSummary[] = [];
    for (const tenant of listOrNothing(this.#fs, this.#layout.uploads)) {
      for (const name of listOrNothing(this.#fs, join(this.#layout.uploads, tenant))) {
        const stat = this.#fs.stat(this.#layout.upload(tenant, name));
        if (stat && isSegmentName(name)) found.push({ tenant, name, bytes: stat.bytes });
      }
    }
    return found;
  }

  async remove(tenant: string, name: string): Promise<void> {
    const path = this.#layout.upload(tenant, name);
    try {
      removeFile(this.#fs, path);
      // Also where the file is gone: an earlier attempt may have failed here.
      await this.#fs.syncDirectory(dirname(path), "removed upload");
    } catch (error) {
      throw diskError(error, `removing upload ${tenant}/${name} failed`);
    }
  }

  async read(tenant: string, name: string, offset: number, bytes: number): Promise<Uint8Array> {
    const path = this.#layout.upload(tenant, name);
    let file: OpenFile;
    try {
      file = this.#fs.open(path, "read");
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw diskError(error, `reading ${path} failed`);
      throw new PayloadStoreError("GONE", `there is no upload ${tenant}/${name}`, {
        details: { tenant, upload: name },
      });
    }
    try {
      if (offset + bytes <= file.size()) return readUpTo(file, offset, bytes);
    } catch (error) {
      throw diskError(error, `reading ${path} failed`);
    } finally {
      file.close();
    }
    throw new PayloadStoreError("CORRUPT", `upload ${tenant}/${name} ends before byte ${offset + bytes}`, {
      details: { tenant, upload: name },
    });
  }
}
