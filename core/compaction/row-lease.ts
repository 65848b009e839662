import { bytesEqual, hex, utf8, utf8Text } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { RowOutcome, RowTable } from "../ports/row-table.ts";

/** Where a run that ended before the table did goes on. */
export interface Unfinished {
  /** Partition up to which groups were looked at. */
  readonly after: string;
  /** When the pass began, by the dates of signatures: what was stored since then is not judged by it. */
  readonly sinceMs: number;
  /** Numbers of the rows that name what was found to be needed. */
  readonly marks: readonly number[];
  /** Tenants with rows that could not be read: what these refer to is not known. */
  readonly untold: readonly string[];
  /** Erasures some of which was found in rows. */
  readonly erasing?: readonly string[] | undefined;
}

interface LeaseRecord {
  readonly version: 0;
  /** Greater with every holder. */
  readonly token: number;
  /** By chance: two that take it in one second, when signatures have one date, write records that differ. */
  readonly by?: string | undefined;
  /** From then on anybody may take it, milliseconds since 1970; 0 where nobody holds it. */
  readonly untilMs: number;
  readonly unfinished?: Unfinished | undefined;
}

/** Bytes by which a holder's record differs from any other's. */
export const leaseIdBytes = 8;

/** Partition of what compaction remembers: row 0 the lease, others what an unfinished pass found. */
export const compactPartition = "~compact";
const leaseKey = { partition: compactPartition, number: 0 };

/**
 * Who compacts. It spares two of them the same work, and nothing rests on it: rows are swapped on the condition that they are as
 * they were read. The token tells one that was held up that it is not the holder any more.
 */
export class RowLease {
  readonly #rows: RowTable;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #record: Uint8Array;
  #held: LeaseRecord;
  #signedMs: number;
  #askedMs: number;
  #answeredMs: number;

  private constructor(
    { rows, clock, leaseMs }: LeaseOptions,
    held: LeaseRecord,
    times: { readonly signedMs: number; readonly askedMs: number },
  ) {
    this.#rows = rows;
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#held = held;
    this.#record = encoded(held);
    this.#signedMs = times.signedMs;
    this.#askedMs = times.askedMs;
    this.#answeredMs = clock.nowMs();
  }

  /** @throws {PayloadStoreError} `LOCKED` while another holds it. Cost: a read and a write */
  static async take(options: LeaseOptions & { readonly random: Random }): Promise<RowLease> {
    const { rows, clock, leaseMs, random } = options;
    const { row, signedMs } = await rows.get(leaseKey);
    const known = row?.record && decoded(row.record);
    if (known && known.untilMs > signedMs) throw locked(known, signedMs);
    const askedMs = clock.nowMs();
    const { token = 0, unfinished } = known ?? {};
    const by = hex(random.bytes(leaseIdBytes));
    const held: LeaseRecord = { version: 0, token: token + 1, by, untilMs: signedMs + leaseMs, unfinished };
    const put = await rows.put(leaseKey, encoded(held), row?.record ? { holds: row.record } : "free", signedMs);
    if (!isDone(put, encoded(held))) throw locked(held, signedMs);
    return new RowLease(options, held, { signedMs: put.signedMs, askedMs });
  }

  /** What {@link take} would begin with, for who changes nothing. Cost: a read */
  static async look(options: LeaseOptions): Promise<RowLease> {
    const askedMs = options.clock.nowMs();
    const { row, signedMs } = await options.rows.get(leaseKey);
    const { token = 0 } = (row?.record && decoded(row.record)) ?? {};
    return new RowLease(options, { version: 0, token, untilMs: Infinity }, { signedMs, askedMs });
  }

  get token(): number {
    return this.#held.token;
  }

  get unfinished(): Unfinished | undefined {
    return this.#held.unfinished;
  }

  /** Minutes from the server's own time at most, whatever the machine's clock says. Milliseconds since 1970. */
  nowMs(): number {
    return this.#signedMs + Math.max(0, this.#clock.nowMs() - this.#askedMs);
  }

  /**
   * A time that has come, but for how far the date of a signature may be off: what held a request up before it was signed makes
   * {@link nowMs} later than it is. What is gone for good by a time goes by this one. Milliseconds since 1970.
   */
  pastMs(): number {
    return this.#signedMs + Math.max(0, this.#clock.nowMs() - this.#answeredMs);
  }

  /**
   * The servers' time when this was asked, or later: {@link nowMs} falls behind in a process that stood still together with its
   * clock. Cost: a read
   */
  async askNowMs(): Promise<number> {
    const { signedMs } = await this.#rows.get(leaseKey);
    return Math.max(signedMs, this.nowMs());
  }

  /** Says that it goes on, where a third of the lease is over. @returns whether it is held still */
  async goesOn(): Promise<boolean> {
    if (this.#held.untilMs === Infinity || this.#clock.nowMs() - this.#askedMs < this.#leaseMs / 3) return true;
    return this.#put({ ...this.#held, untilMs: this.nowMs() + this.#leaseMs });
  }

  /** Lets go of it. Cost: a write */
  async release(unfinished: Unfinished | undefined): Promise<boolean> {
    return this.#put({ ...this.#held, untilMs: 0, unfinished });
  }

  async #put(next: LeaseRecord): Promise<boolean> {
    const askedMs = this.#clock.nowMs();
    const put = await this.#rows.put(leaseKey, encoded(next), { holds: this.#record }, this.nowMs());
    if (!isDone(put, encoded(next))) return false;
    this.#held = next;
    this.#record = encoded(next);
    this.#signedMs = put.signedMs;
    this.#askedMs = askedMs;
    this.#answeredMs = this.#clock.nowMs();
    return true;
  }
}

interface LeaseOptions {
  readonly rows: RowTable;
  readonly clock: Clock;
  readonly leaseMs: number;
}

/** Whether a row is there as it was to be put: the answer to an earlier try may have been lost. */
export function isDone(put: RowOutcome, record: Uint8Array): boolean {
  return put.kind === "done" || (put.there?.record !== undefined && bytesEqual(put.there.record, record));
}

function encoded(record: LeaseRecord): Uint8Array {
  return utf8(JSON.stringify(record));
}

/** A record that cannot be read is nobody's: nothing rests on it. */
function decoded(bytes: Uint8Array): LeaseRecord | undefined {
  try {
    const record = JSON.parse(utf8Text(bytes) ?? "") as Partial<LeaseRecord>;
    const { version, token, untilMs, unfinished } = record;
    if (version !== 0 || typeof token !== "number" || typeof untilMs !== "number") return undefined;
    return { version, token, untilMs, unfinished };
  } catch {
    return undefined;
  }
}

function locked({ token, untilMs }: LeaseRecord, nowMs: number): PayloadStoreError {
  const seconds = Math.ceil((untilMs - nowMs) / 1000);
  const message = `the store is being compacted already (token ${token}, for ${seconds} s more): try again later`;
  return new PayloadStoreError("LOCKED", message, { details: { token, untilMs } });
}
