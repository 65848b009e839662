import { concat, hex, utf8, utf8Text, view } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { KeyHasher } from "../index/key-hasher.ts";
import { limits } from "../limits.ts";
import type { Page } from "../page/page.ts";
import { type Term, termsOf } from "../page/terms.ts";
import type { AttributeTable } from "../ports/attribute-table.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Candidate } from "../ports/offset-index.ts";
import type { TermRows } from "../ports/term-rows.ts";
import { damaged, decoded, type Decoded } from "../segment/decoded.ts";
import { crcText } from "../segment/header.ts";
import { knowledgeMsMax } from "./knowledge.ts";

export interface AttributeRowsOptions {
  readonly table: AttributeTable;
  readonly digest: Digest;
  readonly clock: Clock;
  /** Of the store: groups and attributes are hashed with it, and rows sealed. */
  readonly secret: Uint8Array;
  /** The attributes that have rows, as the table's own row says. */
  readonly indexed: readonly string[];
}

/** Rows that are remembered to have been put, so that they need not be put again … */
const knownRowsMax = 20_000;

/** … for so long, in milliseconds: what a commit rests on may be {@link knowledgeMsMax} old, and it has to arrive. */
const knownMsMax = (knowledgeMsMax * 2) / 3;

/** Puts under way at the same time for one commit, or removals for one merge. */
const puttingMax = 16;

/** Rows of the first query of an attribute, which tells which of several has the fewest, and of further ones. */
const firstRows = 50;
const furtherRows = 500;

const rowVersion = 0;
const crcBytes = 4;

interface KnownRow {
  /** When it was put, by the date of the request: a commit that needs it rests on that. */
  readonly signedMs: number;
  /** When that began, by the clock of this machine. */
  readonly putMs: number;
}

/**
 * Attribute and value → the groups that have had payloads with it: a row for each, partition key `~find/<tenant>/<hash>`, sort
 * key 120 bits of the group's hash, record as in docs/format.md §11. A row is put before the page that needs it, and
 * compaction removes it once no payload needs it: one too many costs a find a query, one too few would be an answer that is wrong.
 * docs/decisions/0041.
 *
 * Cost: a commit writes a row for each attribute that is new in its group, as far as this process knows; nothing else.
 */
export class AttributeRows implements TermRows {
  readonly #options: AttributeRowsOptions;
  readonly #hasher: KeyHasher;
  readonly indexed: ReadonlySet<string>;
  /** Oldest first. */
  readonly #known = new Map<string, KnownRow>();
  readonly #crcSeed: number;

  constructor(options: AttributeRowsOptions) {
    this.#options = options;
    this.#hasher = new KeyHasher(options.secret);
    this.indexed = new Set(options.indexed);
    this.#crcSeed = options.digest.crc32(options.secret);
  }

  /**
   * Resolves when all rows are there that a page needs.
   * @returns when the first of them was put, by the dates of requests: its commit rests on that; `Infinity` where it needs none
   * @throws {PayloadStoreError} `TOO_LARGE` above 1,000 of them; `UNAVAILABLE`
   */
  async put(tenant: string, group: string, page: Page): Promise<number> {
    if (this.indexed.size === 0) return Infinity;
    const terms = termsOf(page, this.indexed);
    if (terms.length > limits.indexedTermsMax) {
      const message = `the commit has ${terms.length} different values of indexed attributes; at most ${limits.indexedTermsMax}: commit fewer payloads at once`;
      throw new PayloadStoreError("TOO_LARGE", message);
    }
    const sk = this.#sortKey(tenant, group);
    const putMs = Math.floor(this.#options.clock.nowMs());
    let firstMs = Infinity;
    const waiting: string[] = [];
    for (const term of terms) {
      const pk = this.#partition(tenant, term);
      const known = this.#known.get(`${pk} ${sk}`);
      const isFresh = known !== undefined && putMs - known.putMs <= knownMsMax;
      if (isFresh) firstMs = Math.min(firstMs, known.signedMs);
      else waiting.push(pk);
    }
    await inTurns(waiting, async (pk) => {
      firstMs = Math.min(firstMs, await this.#putRow(pk, sk, group, putMs));
    });
    return firstMs;
  }

  /** Puts the rows of a page again with its next try: those that it went by may be too old. */
  doubt(tenant: string, group: string, page: Page): void {
    if (this.indexed.size === 0) return;
    const sk = this.#sortKey(tenant, group);
    for (const term of termsOf(page, this.indexed)) this.#known.delete(`${this.#partition(tenant, term)} ${sk}`);
  }

  async forget(tenant: string, group: string, terms: readonly Term[], putBeforeMs: number): Promise<void> {
    const sk = this.#sortKey(tenant, group);
    await inTurns(terms, (term) => this.#options.table.removePutBefore(this.#partition(tenant, term), sk, putBeforeMs));
  }

  /** The groups of the attribute that has the fewest of those that are indexed, in the order of their hashes. */
  async *candidates(tenant: string, terms: readonly Term[], from?: string): AsyncGenerator<Candidate> {
    const indexed = terms.filter(([name]) => this.indexed.has(name));
    if (indexed.length === 0) throw this.#notIndexed(terms);
    const start = from === undefined ? 0n : sortKeyIn(from);
    const { table } = this.#options;
    const partitions = await Promise.all(
      indexed.map(async (term) => {
        const pk = this.#partition(tenant, term);
        return { pk, ...(await table.query(pk, start, firstRows)) };
      }),
    );
    const shortest = partitions.reduce((a, b) => (b.rows.length < a.rows.length ? b : a));
    const { pk } = shortest;
    let damage: PayloadStoreError | undefined;
    for (let { rows, next } = shortest; ; { rows, next } = await table.query(pk, next, furtherRows)) {
      for (const { number, record } of rows) {
        const group = this.#decode(record, pk, number);
        if (group.ok) yield { kind: "group", group: group.value, cursor: number.toString(36) };
        else damage ??= damagedRow(pk, number, table.name, group.damage);
      }
      if (next === undefined) break;
    }
    if (damage) throw damage;
  }

  /** @returns when it was put, by the date of the request */
  async #putRow(pk: string, sk: bigint, group: string, putMs: number): Promise<number> {
    const { signedMs } = await this.#options.table.put(pk, sk, this.#encode(group, pk, sk), putMs);
    this.#known.delete(`${pk} ${sk}`);
    this.#known.set(`${pk} ${sk}`, { signedMs, putMs });
    if (this.#known.size > knownRowsMax) this.#known.delete(this.#known.keys().next().value!);
    return signedMs;
  }

  #partition(tenant: string, term: Term): string {
    const [name, value] = term.map(utf8) as [Uint8Array, Uint8Array];
    // 0xff occurs in no UTF-8. Without the secret: where that is lost, rows must be found and be damage, not be missed.
    const hash = this.#options.digest.sha256(concat([name, Uint8Array.of(0xff), value]));
    return `~find/${tenant}/${hash.slice(0, partitionDigits)}`;
  }

  /** A sort key is a number of at most 38 digits: 120 bits of the hash, so that no two groups of one value ever share it. */
  #sortKey(tenant: string, group: string): bigint {
    const hash = new Int32Array(4);
    this.#hasher.group(tenant, group, hash);
    return BigInt(`0x${hex(new Uint8Array(hash.buffer).subarray(0, sortKeyBytes))}`);
  }

  #encode(group: string, pk: string, sk: bigint): Uint8Array {
    const body = concat([Uint8Array.of(rowVersion), utf8(group)]);
    const crc = new Uint8Array(crcBytes);
    view(crc).setUint32(0, this.#crc(body, pk, sk), true);
    return concat([body, crc]);
  }

  #decode(bytes: Uint8Array | undefined, pk: string, sk: bigint): Decoded<string> {
    if (!bytes || bytes.length < 1 + crcBytes) return damaged(`record of ${bytes?.length ?? 0} bytes`);
    const body = bytes.subarray(0, bytes.length - crcBytes);
    const stored = view(bytes).getUint32(body.length, true);
    const computed = this.#crc(body, pk, sk);
    if (stored !== computed) return damaged(`record crc ${crcText(stored)} ≠ ${crcText(computed)}`);
    if (body[0] !== rowVersion) return damaged(`record version ${body[0]}, expected ${rowVersion}`);
    const group = utf8Text(body.subarray(1));
    return group === undefined ? damaged("the group's name is not UTF-8") : decoded(group);
  }

  /** Bound to the row's key and the store's secret, as those of pages are. */
  #crc(body: Uint8Array, pk: string, sk: bigint): number {
    const { digest } = this.#options;
    return digest.crc32(body, digest.crc32(utf8(`${pk} ${sk}`), this.#crcSeed));
  }

  #notIndexed(terms: readonly Term[]): PayloadStoreError {
    const {
      table: { name: table },
      indexed,
    } = this.#options;
    const asked = terms.map(([name]) => JSON.stringify(name)).join(", ");
    const known = indexed.length === 0 ? "no attributes" : indexed.map((name) => JSON.stringify(name)).join(", ");
    const message = `table ${table} indexes ${known}, so nothing is found by ${asked} alone: name one with \`indexedAttributes\` when a table is new`;
    return new PayloadStoreError("UNSUPPORTED", message, { details: { table } });
  }
}

/** Writes some rows, {@link puttingMax} at the same time. */
async function inTurns<T>(items: readonly T[], write: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const turns = Array.from({ length: Math.min(puttingMax, items.length) }, async () => {
    for (const item of queue) await write(item);
  });
  await Promise.all(turns);
}

/** Of a SHA-256: 128 bits. */
const partitionDigits = 32;
const sortKeyBytes = 15;

function damagedRow(pk: string, sk: bigint, table: string, damage: string): PayloadStoreError {
  return new PayloadStoreError("CORRUPT", `row ${sk} of ${JSON.stringify(pk)} in table ${table}: ${damage}`);
}

/** The sort key that a cursor spells in base 36. */
function sortKeyIn(cursor: string): bigint {
  let key = 0n;
  for (const digit of cursor) key = key * 36n + BigInt(Number.parseInt(digit, 36) || 0);
  if (/^[0-9a-z]{1,24}$/.test(cursor) && key < 1n << BigInt(8 * sortKeyBytes)) return key;
  throw new PayloadStoreError("INVALID", "`after` is not a cursor that a find answered", {
    details: { field: "after" },
  });
}
