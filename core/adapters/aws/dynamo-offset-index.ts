import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
} from "@aws-sdk/client-dynamodb";
import { setTimeout } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { PayloadStoreError } from "../../errors.ts";
import { GroupView } from "../../group-view.ts";
import type { Page } from "../../page/page.ts";
import type { Term } from "../../page/terms.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type {
  Basis,
  Candidate,
  CommitOutcome,
  ExpiringCount,
  GroupCount,
  GroupSummary,
  OffsetIndex,
  PageRecord,
  Records,
  Totals,
} from "../../ports/offset-index.ts";
import { blockHeaderBytes } from "../../segment/block.ts";
import { damaged } from "../../segment/decoded.ts";
import type { FrameReader } from "../../segment/read-frame.ts";
import type { Random } from "../../ports/random.ts";
import type { SegmentDamage } from "../../segment/scan.ts";
import { AttributeRows } from "./attribute-rows.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { fence, knowledgeMsMax, signatureOf } from "./fence.ts";
import { type Answer, GroupPages, type GroupPagesTools, type ReadRow } from "./group-pages.ts";
import { IdHasher } from "./id-hasher.ts";
import { decodeRow, encodeRow, keyBytes, type RowCrc, rowCrcOf, samePlace } from "./row.ts";

export interface DynamoOffsetIndexOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly digest: Digest;
  /** Of the store: ids are hashed with it, and rows sealed. */
  readonly secret: Uint8Array;
  /** Reads the pages that rows do not keep, for totals. */
  readonly frames: FrameReader;
  readonly deadline: Deadline;
  /** The attributes that payloads are found by, of the table's own row. None by default: each takes writes. */
  readonly indexed?: readonly string[] | undefined;
}

/** DynamoDB's own bound for an item is 400 KB. */
const rowBytesMax = 400 * 1024;

/** How many groups' newest sequences are remembered. */
const knownGroupsMax = 20_000;

/** A newest sequence that is remembered for longer is not a good guess any more, and soon one that may not be acted on. */
const knownMsMax = knowledgeMsMax / 3;

/**
 * Who loses races one after the other waits, by chance, for up to twice as long each time; in milliseconds. So 50 processes
 * that append to one group all get through, where without it a tenth of them is refused after 16 tries.
 */
const waitMsFirst = 20;
const waitMsMax = 1_280;

interface Known {
  readonly basis: Basis;
  /** When it was asked, by the clock of this machine. */
  readonly askedMs: number;
  /** Races that were lost since the last commit: others write the group too. */
  readonly losses: number;
}

type Item = Record<string, AttributeValue>;

/**
 * Pages as rows of a DynamoDB table: partition key `<tenant>/<group>`, sort key the page's sequence. A page is committed by
 * putting its row on the condition that the sequence is free. docs/aws.md.
 *
 * Cost: a commit is one write, and one for each indexed attribute that is new in its group; two more requests where another process wrote the group meanwhile and its newest sequence
 * is not known. A question about a group is one consistent query of all its rows, in pages of 1 MB.
 */
export class DynamoOffsetIndex implements OffsetIndex {
  readonly shared = true as const;
  readonly #options: DynamoOffsetIndexOptions;
  readonly #tools: GroupPagesTools;
  readonly #crcOf: RowCrc;
  readonly #attributes: AttributeRows;
  /** The rows that pages on their way need of their attributes. */
  readonly #prepared = new WeakMap<Page, Promise<void>>();
  readonly #known = new LRUCache<string, Known>({ max: knownGroupsMax });
  #damage: readonly SegmentDamage[] = [];

  constructor(options: DynamoOffsetIndexOptions) {
    const { secret, digest } = options;
    this.#options = options;
    this.#tools = { hasher: new IdHasher(secret), digest };
    this.#crcOf = rowCrcOf(secret, digest);
    this.#attributes = new AttributeRows({ ...options, indexed: options.indexed ?? [] });
  }

  async commit(record: PageRecord, page: Page, basis?: Basis): Promise<CommitOutcome> {
    const { client, table, clock, deadline } = this.#options;
    const { tenant, group, sequence, place } = record;
    const pk = partitionKey(tenant, group);
    const rests = basis ?? this.#restsOn(pk, sequence);
    // What made it the next sequence is not known any more: it is refused, if it is not the page that is there.
    if (!rests) {
      if (await this.#isThere(record)) return { kind: "committed" };
      return { kind: "taken", last: this.#known.get(pk)?.basis.sequence ?? 0 };
    }
    // A page that is committed is found; one that is not leaves rows that nobody minds.
    await (this.#prepared.get(page) ?? this.#attributes.put(tenant, group, page));
    const command = new PutItemCommand({
      TableName: table,
      Item: { pk: { S: pk }, sk: { N: String(sequence) }, r: { B: this.#encode(record, page) } },
      ConditionExpression: "attribute_not_exists(pk)",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
    // What the commit rests on, and the segment that it names, must not be older than any process may live.
    const put = fence(command.middlewareStack, Math.min(rests.knownMs, place.storedMs ?? Infinity));
    const askedMs = clock.nowMs();
    try {
      await client.send(command, deadline.options());
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) {
        this.#known.delete(pk);
        throw awsError(error, `committing to table ${table} failed, the outcome is unknown`);
      }
      if (!(await this.#isThere(record, error.Item))) {
        const taken = { basis: { sequence, knownMs: put.signedMs }, askedMs };
        return { kind: "taken", last: await this.#afterLostRace(pk, taken, basis !== undefined) };
      }
      // The answer to an earlier try was lost.
    }
    this.#know(pk, { basis: { sequence, knownMs: put.signedMs }, askedMs, losses: 0 });
    return { kind: "committed" };
  }

  /** Puts the rows of its attributes while its segment is put. */
  prepare(tenant: string, group: string, page: Page): void {
    const putting = this.#attributes.put(tenant, group, page);
    putting.catch(() => {});
    this.#prepared.set(page, putting);
  }

  candidates(tenant: string, terms: readonly Term[], from?: string): AsyncIterable<Candidate> {
    return this.#attributes.candidates(tenant, terms, from);
  }

  async lastSequence(tenant: string, group: string): Promise<number> {
    // Of a group that nobody here knows, 1 is tried: most groups are new.
    return this.#fresh(partitionKey(tenant, group))?.basis.sequence ?? 0;
  }

  async records(tenant: string, group: string, id?: string): Promise<Records> {
    const { pages, basis } = await this.#pages(tenant, group);
    return { basis, ...(id === undefined ? pages.all() : pages.decide(id)) };
  }

  async recordsOf(tenant: string, group: string, ids: readonly string[]): Promise<readonly Records[]> {
    const { pages, basis } = await this.#pages(tenant, group);
    return ids.map((id) => ({ basis, ...pages.decide(id) }));
  }

  async requests(tenant: string, group: string, key: string): Promise<Records> {
    const { pages, basis } = await this.#pages(tenant, group);
    const answer: Answer = pages.answering(key);
    return { basis, ...answer };
  }

  async record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined> {
    const { table } = this.#options;
    const pk = partitionKey(tenant, group);
    const item = await this.#getItem(pk, sequence);
    if (!item) return undefined;
    const { row } = this.#read(item, pk);
    if (row.ok) return { tenant, group, sequence, place: row.value.place };
    throw new PayloadStoreError("CORRUPT", `row ${sequence} of ${JSON.stringify(pk)} in table ${table}: ${row.damage}`);
  }

  async count(tenant: string, group: string): Promise<GroupCount> {
    const { pages, basis } = await this.#pages(tenant, group);
    return { basis, ...pages.count() };
  }

  async *groups(tenant: string): AsyncGenerator<GroupSummary & ExpiringCount> {
    for await (const { group, pages } of this.#scan(tenant)) {
      const { payloads, expiresMs } = pages.count();
      if (payloads > 0) yield { group, payloads, expiresMs };
    }
  }

  async *all(): AsyncGenerator<PageRecord> {
    const damage: SegmentDamage[] = [];
    this.#damage = damage;
    for await (const { pages } of this.#scan()) {
      damage.push(...pages.damage());
      yield* pages.records();
    }
  }

  /** Cost: a scan of the table, and a GET for each page that its row does not keep. */
  async totals(tenant: string): Promise<Totals> {
    const totals = { payloads: 0, rawBytes: 0, storedBytes: 0, none: 0, lz4: 0, zstd: 0, exact: true };
    for await (const { group, pages } of this.#scan(tenant)) {
      const { records, incomplete } = pages.all();
      if (incomplete) totals.exact = false;
      const view = new GroupView();
      for (const { sequence, place } of records.toReversed()) {
        const { header, page } = await this.#options.frames.head(tenant, place);
        view.add({ group, sequence, timeMs: header.timeMs, place }, page);
      }
      for (const { found } of view.places()) {
        totals.payloads += 1;
        totals.rawBytes += found.entry.bytes;
        totals.storedBytes += found.storedShare;
        totals[found.codec === 0 ? "none" : found.codec === 1 ? "lz4" : "zstd"] += 1;
      }
    }
    return totals;
  }

  /** As DynamoDB counts them, every six hours. For the operator: a handler may not ask. */
  async size(): Promise<{ readonly rows: number; readonly bytes: number }> {
    const { client, table, deadline } = this.#options;
    try {
      const { Table } = await client.send(new DescribeTableCommand({ TableName: table }), deadline.options());
      return { rows: Table?.ItemCount ?? 0, bytes: Table?.TableSizeBytes ?? 0 };
    } catch (error) {
      throw awsError(error, `asking for the size of table ${table} failed`);
    }
  }

  damage(): readonly SegmentDamage[] {
    return this.#damage;
  }

  async checkpoint(): Promise<void> {}

  async close(): Promise<void> {}

  #encode(record: PageRecord, page: Page): Uint8Array {
    const { tenant, group, sequence, place } = record;
    const pk = partitionKey(tenant, group);
    const blocks = page.upload === undefined ? page.blocks : [];
    const bodyBytes = blocks.reduce((sum, block) => sum + blockHeaderBytes + block.bodyBytes, 0);
    const hashes = place.held ? undefined : this.#tools.hasher.page(tenant, group, page);
    const bytes = encodeRow({ place, bodyBytes, hashes }, pk, sequence, this.#crcOf);
    if (bytes.length + keyBytes(pk) <= rowBytesMax) return bytes;
    throw new PayloadStoreError(
      "TOO_LARGE",
      `the commit's row has ${bytes.length} bytes; at most ${rowBytesMax}: commit fewer payloads at once`,
    );
  }

  /** What makes a sequence the next one, where the number came from here. */
  #restsOn(pk: string, sequence: number): Basis | undefined {
    const known = this.#known.get(pk);
    if (known) return known.basis.sequence === sequence - 1 ? known.basis : undefined;
    // That 1 is free rests on nothing: a group that exists has a row 1.
    return sequence === 1 ? { sequence: 0, knownMs: Infinity } : undefined;
  }

  /** Whether the row that has the sequence is the one that was to be put. */
  async #isThere({ tenant, group, sequence, place }: PageRecord, answered?: Item): Promise<boolean> {
    // Servers that do not answer the row have to be asked for it.
    const item = answered ?? (await this.#getItem(partitionKey(tenant, group), sequence));
    if (!item) return false;
    const { row } = this.#read(item, partitionKey(tenant, group));
    return row.ok && samePlace(row.value.place, place);
  }

  async #getItem(pk: string, sequence: number): Promise<Item | undefined> {
    const { client, table, deadline } = this.#options;
    const command = new GetItemCommand({
      TableName: table,
      Key: { pk: { S: pk }, sk: { N: String(sequence) } },
      ConsistentRead: true,
    });
    try {
      return (await client.send(command, deadline.options())).Item;
    } catch (error) {
      throw awsError(error, `reading from table ${table} failed`);
    }
  }

  /**
   * What is known of a group's newest page after its sequence turned out to be taken.
   * @param decided  whoever decides asks for the whole group again
   */
  async #afterLostRace(pk: string, taken: Omit<Known, "losses">, decided: boolean): Promise<number> {
    const before = this.#fresh(pk);
    const losses = (before?.losses ?? 0) + 1;
    const wasNewest = before?.basis.sequence === taken.basis.sequence - 1;
    this.#know(pk, { ...taken, losses });
    if (losses > 1) await this.#wait(losses);
    // Somebody else wrote the group since: most likely once, so the next sequence is tried before anything is asked.
    return decided || (wasNewest && losses === 1) ? taken.basis.sequence : this.#queryLast(pk);
  }

  async #wait(losses: number): Promise<void> {
    const [chance = 0] = this.#options.random.bytes(1);
    await setTimeout((chance / 255) * Math.min(waitMsMax, waitMsFirst * 2 ** (losses - 1)));
  }

  async #queryLast(pk: string): Promise<number> {
    const { client, table, clock, deadline } = this.#options;
    const askedMs = clock.nowMs();
    const command = new QueryCommand({
      TableName: table,
      ...ofPartition(pk),
      ConsistentRead: true,
      ScanIndexForward: false,
      Limit: 1,
      ProjectionExpression: "sk",
    });
    const asked = signatureOf(command.middlewareStack);
    try {
      const { Items: items } = await client.send(command, deadline.options());
      const sequence = Number(items?.[0]?.["sk"]?.N ?? 0);
      this.#learn(pk, { basis: { sequence, knownMs: asked.signedMs }, askedMs });
      return sequence;
    } catch (error) {
      throw awsError(error, `reading from table ${table} failed`);
    }
  }

  /** All rows of a group, as they are now. */
  async #pages(tenant: string, group: string): Promise<{ readonly pages: GroupPages; readonly basis: Basis }> {
    const pk = partitionKey(tenant, group);
    for (let again = false; ; again = true) {
      const askedMs = this.#options.clock.nowMs();
      const { rows, knownMs, tookMs } = await this.#queryAll(pk);
      const pages = new GroupPages({ tenant, group }, rows, this.#tools);
      // Rows that are swept while a long query goes on look like a gap, or like an end if it is held up for long. Once.
      if ((pages.hasGap || tookMs > knowledgeMsMax) && !again) continue;
      const basis = { sequence: pages.last, knownMs };
      this.#learn(pk, { basis, askedMs });
      return { pages, basis };
    }
  }

  /** @returns also when the first part was asked, and how long after it the last one */
  async #queryAll(pk: string): Promise<{ rows: readonly ReadRow[]; knownMs: number; tookMs: number }> {
    const { client, table, deadline } = this.#options;
    const options = deadline.options();
    const rows: ReadRow[] = [];
    let knownMs: number | undefined;
    for (let from: Item | undefined; ;) {
      const command = new QueryCommand({
        TableName: table,
        ...ofPartition(pk),
        ConsistentRead: true,
        ExclusiveStartKey: from,
      });
      const asked = signatureOf(command.middlewareStack);
      try {
        const { Items: items, LastEvaluatedKey: last } = await client.send(command, options);
        for (const item of items ?? []) rows.push(this.#read(item, pk));
        from = last;
      } catch (error) {
        throw awsError(error, `reading from table ${table} failed`);
      }
      knownMs ??= asked.signedMs;
      if (!from) return { rows, knownMs, tookMs: asked.signedMs - knownMs };
    }
  }

  /** Groups with their pages, one after the other. A scan answers the rows of a partition together, in their order. */
  async *#scan(tenant?: string): AsyncGenerator<{ readonly group: string; readonly pages: GroupPages }> {
    let pk = "";
    let rows: ReadRow[] = [];
    const group = () => {
      const [owner = "", ...rest] = pk.split("/");
      const name = rest.join("/");
      return { group: name, pages: new GroupPages({ tenant: owner, group: name }, rows, this.#tools) };
    };
    for await (const item of this.#scanAll(tenant)) {
      const owner = item["pk"]?.S ?? "";
      if (owner.startsWith("~")) continue;
      if (owner !== pk && rows.length > 0) yield group();
      if (owner !== pk) rows = [];
      pk = owner;
      rows.push(this.#read(item, pk));
    }
    if (rows.length > 0) yield group();
  }

  async *#scanAll(tenant: string | undefined): AsyncGenerator<Item> {
    const { client, table, deadline } = this.#options;
    const ofTenant =
      tenant === undefined
        ? {}
        : { FilterExpression: "begins_with(pk, :t)", ExpressionAttributeValues: { ":t": { S: `${tenant}/` } } };
    let from: Item | undefined;
    do {
      const command = new ScanCommand({
        TableName: table,
        ...ofTenant,
        ConsistentRead: true,
        ExclusiveStartKey: from,
      });
      // A scan takes as long as the table is large: the deadline is of each of its requests.
      const answer = await client.send(command, deadline.options()).catch((error: unknown) => {
        throw awsError(error, `scanning table ${table} failed`);
      });
      yield* answer.Items ?? [];
      from = answer.LastEvaluatedKey;
    } while (from);
  }

  #read(item: Item, pk: string): ReadRow {
    const sequence = Number(item["sk"]?.N);
    const bytes = item["r"]?.B;
    return { sequence, row: bytes ? decodeRow(bytes, pk, sequence, this.#crcOf) : damaged("the row has no record") };
  }

  /** By a question, which wins no race. */
  #learn(pk: string, known: Omit<Known, "losses">): void {
    this.#know(pk, { ...known, losses: this.#fresh(pk)?.losses ?? 0 });
  }

  #know(pk: string, known: Known): void {
    const before = this.#fresh(pk);
    // A query that was on its way while this process committed tells less than is known already.
    if (before && before.basis.sequence > known.basis.sequence) return;
    this.#known.set(pk, known);
  }

  /** What is remembered of a group, and not for too long to be a good guess. */
  #fresh(pk: string): Known | undefined {
    const known = this.#known.get(pk);
    if (known && this.#options.clock.nowMs() - known.askedMs > knownMsMax) this.#known.delete(pk);
    return this.#known.get(pk);
  }
}

/** A tenant has no slash, so that the two cannot be mistaken. */
export function partitionKey(tenant: string, group: string): string {
  return `${tenant}/${group}`;
}

function ofPartition(pk: string) {
  return { KeyConditionExpression: "pk = :pk", ExpressionAttributeValues: { ":pk": { S: pk } } };
}
