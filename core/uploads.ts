import type { PageDraft } from "./commit-lanes.ts";
import { PayloadStoreError } from "./errors.ts";
import { checkedExpiry, type ExpiresAt } from "./expiry.ts";
import type { ResolvedKey } from "./key.ts";
import { limits } from "./limits.ts";
import { etagBytes, type PageBlock } from "./page/page.ts";
import { checkPayloadHead } from "./payload-input.ts";
import type { Attributes } from "./payload.ts";
import type { Clock } from "./ports/clock.ts";
import type { Digest } from "./ports/digest.ts";
import type { Random } from "./ports/random.ts";
import type { SignedUpload, UploadStore } from "./ports/upload-store.ts";
import { isSegmentName, SegmentNames, segmentTimeMs } from "./segment/name.ts";
import { uploadBlockCrc } from "./upload-blocks.ts";

/** What is to be uploaded. */
export interface UploadInput {
  /** Length in bytes, at most `limits.uploadBytesMax`. */
  readonly bytes: number;
  /** SHA-256 of the bytes, 64 hex digits: other bytes are refused. */
  readonly sha256: string;
}

/** An upload that was begun: put the bytes at `url`, then commit it. */
export interface BegunUpload extends SignedUpload {
  /** Names the upload. */
  readonly upload: string;
  /** When the URL ends to be good, milliseconds since 1970. */
  readonly expiresMs: number;
}

/** An upload that was put, and is to become a payload. */
export interface PutUpload extends UploadInput {
  readonly upload: string;
  readonly contentType?: string | undefined;
  readonly attributes?: Attributes | undefined;
  readonly expiresAt?: ExpiresAt | undefined;
  /** As of an append. */
  readonly retention?: string | undefined;
}

/** Payloads that are too long for a handler: their owner puts them past it, and it checks and commits them. */
export class Uploads {
  readonly #store: UploadStore;
  readonly #clock: Clock;
  readonly #digest: Digest;
  readonly #names: SegmentNames;

  constructor(store: UploadStore, ports: { clock: Clock; random: Random; digest: Digest }) {
    this.#store = store;
    this.#clock = ports.clock;
    this.#digest = ports.digest;
    this.#names = new SegmentNames(ports.clock, ports.random);
  }

  /** @throws {PayloadStoreError} `INVALID`, `TOO_LARGE` */
  async begin(tenant: string, input: UploadInput): Promise<BegunUpload> {
    checkInput(input);
    const upload = this.#names.next();
    const { bytes, sha256 } = input;
    const seconds = limits.uploadUrlMsMax / 1000;
    const signed = await this.#store.sign(tenant, upload, { bytes, sha256, seconds });
    return { upload, ...signed, expiresMs: segmentTimeMs(upload) + limits.uploadUrlMsMax };
  }

  /**
   * Reads an upload once and checks it.
   * @param keptMs  how long its class keeps it; `undefined` where it names none
   * Cost: one read for each 4 MiB.
   * @throws {PayloadStoreError} `NOT_FOUND` when nothing was put, `CONFLICT` when other bytes were, `GONE` when it is too late
   */
  async draft(key: ResolvedKey, put: PutUpload, keptMs: number | undefined): Promise<PageDraft> {
    checkInput(put);
    checkPayloadHead(put);
    const { upload, bytes, sha256, contentType, attributes } = put;
    if (typeof upload !== "string" || !isSegmentName(upload)) {
      throw invalid("upload", "`upload` is not a name that an upload was begun with");
    }
    if (this.#clock.nowMs() - segmentTimeMs(upload) > limits.uploadCommitMsMax) {
      const hours = limits.uploadCommitMsMax / 3_600_000;
      throw new PayloadStoreError("GONE", `the upload was begun more than ${hours} hours ago: begin another one`, {
        details: { upload },
      });
    }
    const size = await this.#store.size(key.tenant, upload);
    if (size === undefined) {
      throw new PayloadStoreError("NOT_FOUND", "nothing was put at the upload's URL yet", { details: { upload } });
    }
    if (size !== bytes) throw differs(upload, `it has ${size} bytes, not ${bytes}`);
    const hash = this.#digest.sha256Parts();
    const blocks: PageBlock[] = [];
    for (let offset = 0; offset < bytes; offset += limits.blockRawBytesMax) {
      const length = Math.min(limits.blockRawBytesMax, bytes - offset);
      const part = await this.#store.read(key.tenant, upload, offset, length);
      hash.update(part);
      const crc = uploadBlockCrc(this.#digest, upload, offset, part);
      blocks.push({ codec: 0, rawBytes: length, bodyBytes: length, crc });
    }
    const found = hash.end();
    if (found !== sha256.toLowerCase()) throw differs(upload, `its SHA-256 is ${found}`);
    const expiresMs = checkedExpiry(put.expiresAt);
    const entry = {
      id: key.id,
      bytes,
      etag: found.slice(0, 2 * etagBytes),
      contentType,
      attributes,
      expiresMs,
      keptMs,
    };
    return { entries: [entry], blocks: [], upload: { name: upload, blocks } };
  }
}

function checkInput({ bytes, sha256 }: UploadInput): void {
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw invalid("bytes", "`bytes` is the payload's length, 1 or more");
  if (bytes > limits.uploadBytesMax) {
    const message = `an upload has at most ${limits.uploadBytesMax} bytes (5 GiB): split the payload`;
    throw new PayloadStoreError("TOO_LARGE", message, { details: { bytes, max: limits.uploadBytesMax } });
  }
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw invalid("sha256", "`sha256` is the payload's SHA-256 in 64 hex digits");
  }
}

function invalid(field: string, message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field } });
}

function differs(upload: string, how: string): PayloadStoreError {
  const message = `what was put is not what the upload was begun for: ${how}; begin another one`;
  return new PayloadStoreError("CONFLICT", message, { details: { upload } });
}
