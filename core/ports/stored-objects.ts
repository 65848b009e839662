/** An object as a listing tells it. */
export interface StoredObject {
  readonly kind: "segments" | "uploads";
  readonly tenant: string;
  readonly name: string;
  readonly bytes: number;
  /** When it was put, by the server's clock: milliseconds since 1970. */
  readonly modifiedMs: number;
}

/**
 * The objects of a store that several processes write: segments, and what owners uploaded. For compaction alone.
 *
 * Every method throws {@link PayloadStoreError} `UNAVAILABLE`.
 */
export interface StoredObjects {
  /** Every object whose name is one of ours. Cost: one LIST for 1,000. */
  list(tenant?: string): AsyncIterable<StoredObject>;

  /** Removes objects; those that are gone are no fault. Cost: none that is billed. */
  remove(objects: readonly StoredObject[]): Promise<void>;
}
