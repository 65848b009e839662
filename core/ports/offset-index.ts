import type { EntryPlace, Page } from "../page/page.ts";
import type { Term } from "../page/terms.ts";
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
  /** Another writer committed this sequence first; `last` is the newest that is known now. */
  | { readonly kind: "taken"; readonly last: number };

/** The state of a group that an answer describes, and that a decision may rest on. */
export interface Basis {
  /** The newest page that was seen, 0 for none. */
  readonly sequence: number;
  /** When it was seen, milliseconds since 1970. An index with several writers refuses a commit that rests on what is long ago. */
  readonly knownMs: number;
  /** Of an index that compaction may be about to remove the group from: what has to be undone before a page is committed. */
  readonly closed?: Uint8Array | undefined;
}

/** What an index with one writer knows of a segment. */
export interface SegmentState {
  readonly tenant: string;
  readonly segment: string;
  /** Length of the part that was taken in, in bytes. */
  readonly bytes: number;
  /** Whether it had its footer then. */
  readonly sealed: boolean;
  /** Shares of blocks of all payloads that were taken in from it, and heads of pages that only hide, in bytes. */
  readonly stored: number;
  /** The same of those that are alive. */
  readonly live: number;
  /** Since when nothing in it is needed any more, milliseconds since 1970. */
  readonly supersededMs?: number | undefined;
  /** It is gone, or about to be. */
  readonly removed?: true | undefined;
}

/** The pages that decide a question, newest first. */
export interface Records {
  readonly records: readonly PageRecord[];
  readonly basis: Basis;
  /**
   * The record was chosen by at least 64 bits of a keyed hash of the id, reading its page costs a request, and none of its
   * payloads ever expires.
   */
  readonly byHash?: true | undefined;
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

/** A number of payloads, some of which may have expired. */
export interface ExpiringCount {
  readonly payloads: number;
  /** Before then none of them expires, milliseconds since 1970; without it none ever does. */
  readonly expiresMs?: number | undefined;
}

/** How many payloads a group has; those in damaged pages count, and those that have expired. */
export interface GroupCount extends ExpiringCount {
  readonly basis: Basis;
  readonly incomplete?: SegmentDamage | undefined;
}

export interface GroupSummary {
  readonly group: string;
  readonly payloads: number;
}

/** Where payloads with some attributes may be, and a cursor that goes on there: `[0-9a-z.-]+`. */
export type Candidate =
  /** A page that brought some. Its record may leave out the group, which the page names. */
  | { readonly kind: "page"; readonly record: PageRecord; readonly cursor: string }
  /** A group that has had some. */
  | { readonly kind: "group"; readonly group: string; readonly cursor: string };

/**
 * Tenant and group → the group's pages. A page's place in the index is the commit: what is not here was never stored.
 *
 * Pages of a group have the sequences 1, 2, 3 … without gaps; the sequence alone decides which write wins.
 */
export interface OffsetIndex {
  /** Several processes write it: segments may hold pages that lost their race or were never committed, and are garbage. */
  readonly shared?: true | undefined;

  /**
   * Makes a page current, if its sequence is the group's next. A page that is already there under its sequence, by its
   * place, is committed once. The segments must already hold it durably.
   *
   * @param page  the decoded page at `record.place`
   * @param basis  what the page was decided on; without it the page holds whatever the group's state is
   * @throws {PayloadStoreError} `UNAVAILABLE` when the outcome is unknown
   */
  commit(record: PageRecord, page: Page, basis?: Basis): Promise<CommitOutcome>;

  /**
   * Makes ready what committing a page will need of its ids: it is called while the page's bytes become durable, so that a
   * commit need not do it afterwards. Changes no answer, and need not be called.
   * @param places  of the page's entries
   */
  prepare?(tenant: string, group: string, page: Page, places: readonly EntryPlace[]): void;

  /** The group's newest sequence as far as is known without asking twice, 0 for none: a commit tells whether it was right. */
  lastSequence(tenant: string, group: string): Promise<number>;

  /**
   * The pages of a group, newest first. With `id`, an index that knows which page decides about this id may answer that
   * page alone, or none when the id is absent. An index in memory answers at once.
   */
  records(tenant: string, group: string, id?: string): Records | Promise<Records>;

  /** As {@link records} for each of several ids, for an index where asking once is cheaper than asking for each. */
  recordsOf?(tenant: string, group: string, ids: readonly string[]): Promise<readonly Records[]>;

  /**
   * The pages that may be the answer to an idempotent request, newest first, also when what they brought is overwritten or
   * deleted: they are kept for at least 24 hours.
   */
  requests(tenant: string, group: string, key: string): Promise<Records>;

  /** The page of a group with this sequence, if it is committed. */
  record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined>;

  count(tenant: string, group: string): Promise<GroupCount>;

  /**
   * Whether a group has had pages and certainly has no payloads, but for `dying` that are being deleted: the next page then
   * hides them all, so that they need not be kept. Of an index with one writer.
   */
  isEmptied?(tenant: string, group: string, dying?: number): boolean;

  /** Every page of a group, hidden ones too, that lies in a segment which is still there; newest first. */
  history?(tenant: string, group: string): Iterable<PageRecord>;

  /** Segments of a tenant that hold bytes of which no page tells what they are. */
  torn?(tenant: string): readonly string[];

  /**
   * Groups that have payloads, expired ones too; where several processes write also those of which damage hides whether they have
   * any, with 0 (others are `CORRUPT`). An index with one writer answers them in the order of the oldest commit that is kept of
   * them: of their first, until compaction or a deletion of the whole group took its place; another one in
   * an order of its own. Not for request paths where groups are many.
   */
  groups(tenant: string): AsyncIterable<GroupSummary & ExpiringCount>;

  /**
   * Where payloads may be that have all these attributes, in an order of the index's own that stays: every place where one
   * is that was committed before, and others. A page's record and {@link records} decide, so what was overwritten or deleted
   * need not be taken out. What is committed meanwhile comes too, or what replaced a candidate would be missed.
   *
   * @param terms  at least one; the index walks the one that has the fewest candidates
   * @param from  the cursor of an earlier answer: that candidate again, while it is one, and what is behind it. Where the index
   *   was made anew since, what is before it may come again.
   * @throws {PayloadStoreError} `CORRUPT` at the end, when damage may have taken a candidate; `UNSUPPORTED` where none of the
   *   attributes is indexed; `INVALID` when the cursor is none
   *
   * Cost: grows with the candidates, not with the payloads.
   */
  candidates?(tenant: string, terms: readonly Term[], from?: string): AsyncIterable<Candidate>;

  /** Every committed page of every tenant, oldest first within a group. For verification. */
  all(): AsyncIterable<PageRecord>;

  /** Cost: no read where one process writes; otherwise a scan of the whole index. */
  totals(tenant: string): Promise<Totals>;

  /** The segments that the index took pages from. Cost: none but memory. Of an index with one writer. */
  segmentStates?(): readonly SegmentState[];

  /** What is known of one segment now; a reader beside the writer may have to ask what that has saved. */
  segmentState?(tenant: string, segment: string): SegmentState | undefined;

  /** Whether pages lie in a segment, or did, which others stand for, by what {@link all} met last. Of an index with several writers. */
  isReplaced?(tenant: string, segment: string): boolean;

  /** Its rows and their bytes, about, where scanning them has a price. */
  size?(): Promise<{ readonly rows: number; readonly bytes: number }>;

  /** Damage that {@link Records.incomplete} rests on; of a shared index, what {@link all} met last. */
  damage(): readonly SegmentDamage[];

  /** Makes what is committed quick to find again after a restart. Loses nothing when it fails. */
  checkpoint(): Promise<void>;

  close(): Promise<void>;
}
