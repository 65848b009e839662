import type { Erasure, ErasureSelector } from "../core/erasure/erasure.ts";
import type { FindQuestion } from "../core/find.ts";
import type { GroupKey, PayloadKey, TenantKey } from "../core/key.ts";
import type { AppendOptions, ListedPayload, Location, PayloadInput, Stats } from "../core/payload.ts";

/** What `ls` shows of a payload. */
export type ListedEntry = Pick<
  ListedPayload,
  "group" | "id" | "bytes" | "etag" | "contentType" | "attributes" | "timeMs" | "expiresMs"
>;

/**
 * A store as commands see it: opened here, or served by the process that holds the folder. Both answer alike, and fail
 * with the same codes.
 */
export interface CommandStore {
  append(key: Required<PayloadKey>, bytes: Uint8Array, options: AppendOptions): Promise<Location>;
  appendMany(key: GroupKey, items: readonly (PayloadInput & { readonly id: string })[]): Promise<readonly Location[]>;
  get(key: Required<PayloadKey>): Promise<Uint8Array | undefined>;
  list(key: GroupKey): AsyncIterable<ListedEntry>;
  find(question: FindQuestion): AsyncIterable<ListedEntry>;
  groups(key: TenantKey): AsyncIterable<{ readonly group: string; readonly payloads: number }>;
  delete(key: Required<PayloadKey>): Promise<boolean>;
  deleteGroup(key: GroupKey): Promise<number>;
  erase(key: TenantKey & ErasureSelector): Promise<Erasure>;
  erasure(key: TenantKey & { readonly erasure: string }): Promise<Erasure | undefined>;
  erasures(key: TenantKey): Promise<readonly Erasure[]>;
  stats(key: TenantKey): Promise<Stats>;
  /** A group as NDJSON that imports it again, in pieces that need not be lines. */
  exportLines(key: GroupKey): AsyncIterable<string | Uint8Array>;
  close(): Promise<void>;
}
