/** Objects that their owners put past the store, each one payload. They are named like segments, and never change. */
export interface UploadReader {
  /** Length of an upload in bytes, `undefined` if it is not there. */
  size(tenant: string, name: string): Promise<number | undefined>;

  /**
   * Exactly `bytes` bytes at `offset`. Cost: one ranged read.
   * @throws {PayloadStoreError} `GONE` if there is no such upload, `CORRUPT` if it ends before, `UNAVAILABLE`
   */
  read(tenant: string, name: string, offset: number, bytes: number): Promise<Uint8Array>;

  /** Every upload. Never on a request path. */
  list?(): Promise<readonly UploadSummary[]>;
}

/** Uploads of one writer, that give back their room. */
export interface ReclaimingUploads extends UploadReader {
  list(): Promise<readonly UploadSummary[]>;

  /** Removes an upload, for good and durably; one that is gone already is no fault. */
  remove(tenant: string, name: string): Promise<void>;
}

export interface UploadSummary {
  readonly tenant: string;
  readonly name: string;
  readonly bytes: number;
}

export interface UploadStore extends UploadReader {
  /** What a client needs to put an upload, once: the URL refuses other bytes, and a second time. Cost: no request. */
  sign(tenant: string, name: string, upload: UploadShape): Promise<SignedUpload>;
}

export interface UploadShape {
  /** Length in bytes. */
  readonly bytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
  /** How long the URL is good, in seconds. */
  readonly seconds: number;
}

export interface SignedUpload {
  readonly url: string;
  readonly method: "PUT";
  /** To be sent as they are. */
  readonly headers: Readonly<Record<string, string>>;
}
