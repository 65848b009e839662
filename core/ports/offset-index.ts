import type { Page } from "../page/page.ts";
import type { SegmentDamage } from "../segment/scan.ts";
import type { FramePlace } from "./segment-store.ts";

/** One committed page: what the index keeps of it. */
export interface PageRecord {
  readonly tenant: string;
  readonly group: string;
  readonly sequence: number;
  readonly place: FramePlace;
}

export type CommitOutcome =
  | { readonly kind: "committed" }
  /** Another writer committed this sequence first; `last` is the newest now. */
  | { readonly kind: "taken"; readonly last: number };

/** The pages that decide a question, newest first. */
export interface Records {
  readonly records: readonly PageRecord[];
  /** Set when pages of the group may be missing that could change the answer: then neither absence nor an older value can be trusted. */
  readonly incomplete?: SegmentDamage | undefined;
}

/** What a tenant has, exactly, whatever was overwritten or deleted. */
export interface Totals {
  readonly payloads: number;
  /** Lengths of the payloads. */
  readonly rawBytes: number;
  /** The payloads' shares of their blocks, block headers included. */
  readonly storedBytes: number;
  /** Payloads by the codec their first block really has. */
  readonly none: number;
  readonly lz4: number;
  readonly zstd: number;
  /** False once a page that was overwritten or hidden could not be read: bytes may then be counted that are dead. */
  readonly exact: boolean;
}

export interface GroupSummary {
  readonly group: string;
  readonly payloads: number;
}

/**
 * Tenant and group → the group's pages. A page's place in the index is the commit: what is not here was never stored.
 *
 * Pages of a group have the sequences 1, 2, 3 … without gaps; the sequence alone decides which write wins.
 */
export interface OffsetIndex {
  /**
   * Makes a page current, if its sequence is the group's next. A page that is already there under its sequence, by its
   * place, is committed once. The segments must already hold it durably.
   *
   * @param page  the decoded page at `record.place`
   * @throws {PayloadStoreError} `UNAVAILABLE` when the outcome is unknown
   */
  commit(record: PageRecord, page: Page): Promise<CommitOutcome>;

  /** The group's newest sequence, 0 when it has none. */
  lastSequence(tenant: string, group: string): Promise<number>;

  /**
   * The pages of a group, newest first. With `id`, an index that knows which page decides about this id may answer that
   * page alone, or none when the id is absent.
   */
  records(tenant: string, group: string, id?: string): Promise<Records>;

  /**
   * The pages that may be the answer to an idempotent request, newest first, also when what they brought is overwritten or
   * deleted: they are kept for at least 24 hours.
   */
  requests(tenant: string, group: string, key: string): Promise<Records>;

  /** How many payloads a group has; those in damaged pages count. */
  payloads(tenant: string, group: string): Promise<number>;

  /** Groups that have payloads, in the order of their first commit since they were last empty of pages. Not for request paths where groups are many. */
  groups(tenant: string): AsyncIterable<GroupSummary>;

  /** Every committed page of every tenant, oldest first within a group. For verification. */
  all(): AsyncIterable<PageRecord>;

  /** Cost: no read, whatever the number of payloads. */
  totals(tenant: string): Promise<Totals>;

  /** Damage that {@link Records.incomplete} rests on. */
  damage(): readonly SegmentDamage[];

  /** Makes what is committed quick to find again after a restart. Loses nothing when it fails. */
  checkpoint(): Promise<void>;

  close(): Promise<void>;
}
