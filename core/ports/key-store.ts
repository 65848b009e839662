import type { AccessKey } from "../access/access-key.ts";

/** The keys of a tenant, those that have expired too. */
export interface KeyList {
  /** Oldest first. */
  readonly keys: readonly AccessKey[];
  /** Ids of records that cannot be read, or that a newer release wrote: they open nothing. */
  readonly unreadable: readonly string[];
}

/**
 * Where access keys are kept: a file of the store's folder, a table, memory. It holds hashes and no token.
 *
 * Changes are conditional, so that two people who change keys at the same time never undo one another. A change that
 * resolved is seen by every `list` that starts afterwards, from any process.
 */
export interface KeyStore {
  /**
   * @throws {PayloadStoreError} `CORRUPT` when none of it can be read, `UNAVAILABLE` when the store does not answer
   *
   * Cost: one read, on AWS of as many units as 4 KB of keys there are.
   */
  list(tenant: string): Promise<KeyList>;

  /** Keeps a new key, durably. @returns false when there is one with its id */
  add(key: AccessKey): Promise<boolean>;

  /** Puts `after` in the place of `before`, durably. @returns false when it is no longer `before` that is kept */
  replace(before: AccessKey, after: AccessKey): Promise<boolean>;

  /** Forgets a key, durably. @returns false when it is no longer this one that is kept */
  remove(key: AccessKey): Promise<boolean>;
}
