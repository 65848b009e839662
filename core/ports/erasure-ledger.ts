import type { ErasureRecord } from "../erasure/erasure.ts";

/**
 * Where erasures are kept: files of the store's folder, a table, memory. It holds names and hashes, and nothing of a payload.
 */
export interface ErasureLedger {
  /**
   * Keeps a record, durably: of version 1 if there is none with its id, else in the place of the version before.
   * @returns false when another version is kept
   * @throws {PayloadStoreError} `UNAVAILABLE`: it may be kept or not
   */
  put(record: ErasureRecord): Promise<boolean>;

  get(tenant: string, id: string): Promise<ErasureRecord | undefined>;

  /**
   * Of a tenant, or of all, oldest first.
   * @throws {PayloadStoreError} `CORRUPT` when a record cannot be read: what it asked for is not forgotten in silence
   */
  list(tenant?: string): Promise<readonly ErasureRecord[]>;

  /**
   * Those of them that are not `gone`, for compaction. Cost: grows with these alone where records are billed by the read.
   * @throws {PayloadStoreError} as {@link list}
   */
  open(tenant?: string): Promise<readonly ErasureRecord[]>;
}
