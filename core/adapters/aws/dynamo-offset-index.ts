import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  paginateQuery,
  paginateScan,
  PutItemCommand,
  QueryCommand,
} from "@aws-sdk/client-dynamodb";
import { LRUCache } from "lru-cache";
import { PayloadStoreError } from "../../errors.ts";
import { GroupView } from "../../group-view.ts";
import type { Page } from "../../page/page.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type {
  Basis,
  CommitOutcome,
  GroupCount,
  GroupSummary,
  OffsetIndex,
  PageRecord,
  Records,
  Totals,
} from "../../ports/offset-index.ts";
import { blockHeaderBytes } from "../../segment/block.ts";
import { damaged } from "../../segment/decoded.ts";
import { segmentTimeMs } from "../../segment/name.ts";
import type { FrameReader } from "../../segment/read-frame.ts";
import type { SegmentDamage } from "../../segment/scan.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { fence, knowledgeMsMax } from "./fence.ts";
import { type Answer, GroupPages, type ReadRow } from "./group-pages.ts";
import type { IdHasher } from "./id-hasher.ts";
import { decodeRow, encodeRow, keyBytes, samePlace } from "./row.ts";

export interface DynamoOffsetIndexOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly hasher: IdHasher;
  /** Reads the pages that rows do not keep, for totals. */
  readonly frames: FrameReader;
  readonly deadline: Deadline;
}

/** DynamoDB's own bound for an item is 400 KB. */
const rowBytesMax = 400 * 1024;

/** How many groups' newest sequences are remembered. */
const knownGroupsMax = 20_000;

/** A newest sequence that is remembered for longer is not a good guess any more, and soon one that may not be acted on. */
const knownMsMax = knowledgeMsMax / 3;

interface Known {
  readonly basis: Basis;
  /** The last commit on it failed: somebody else writes the group too. */
  readonly contended: boolean;
}

/**
 * Pages as rows of a DynamoDB table: partition key `<tenant>/<group>`, sort key the page's sequence. A page is committed by
 * putting its row on the condition that the sequence is free. docs/aws.md.
 *
 * Cost: a commit is one write; two more requests where another process wrote the group meanwhile and its newest sequence
 * is not known. A question about a group is one consistent query of all its rows, in pages of 1 MB.
 */
export class DynamoOffsetIndex implements OffsetIndex {
  readonly #options: DynamoOffsetIndexOptions;
  readonly #known = new LRUCache<string, Known>({ max: knownGroupsMax });

  constructor(options: DynamoOffsetIndexOptions) {
    this.#options = options;
  }

  async commit(record: PageRecord, page: Page, basis?: Basis): Promise<CommitOutcome> {
    const { client, table, clock, deadline } = this.#options;
    const { tenant, group, sequence, place } = record;
    const pk = partitionKey(tenant, group);
    const known = basis ?? this.#fresh(pk)?.basis ?? { sequence: 0, knownMs: clock.nowMs() };
    const command = new PutItemCommand({
      TableName: table,
      Item: { pk: { S: pk }, sk: { N: String(sequence) }, r: { B: this.#encode(record, page) } },
      ConditionExpression: "attribute_not_exists(pk)",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      ReturnConsumedCapacity: "TOTAL",
    });
    // What the commit rests on, and the segment that it names, must not be older than any process may live.
    fence(command.middlewareStack, Math.min(known.knownMs, segmentTimeMs(place.segment)));
    const putMs = clock.nowMs();
    try {
      await client.send(command, deadline.options());
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) {
        this.#known.delete(pk);
        throw awsError(error, `committing to table ${table} failed, the outcome is unknown`);
      }
      if (!(await this.#isThere(record, error.Item))) {
        return { kind: "taken", last: await this.#afterLostRace(pk, sequence, putMs) };
      }
      // The answer to an earlier try was lost.
    }
    this.#know(pk, { sequence, knownMs: putMs });
    return { kind: "committed" };
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
    const { client, table, digest, deadline } = this.#options;
    const pk = partitionKey(tenant, group);
    const command = new GetItemCommand({
      TableName: table,
      Key: { pk: { S: pk }, sk: { N: String(sequence) } },
      ConsistentRead: true,
      ReturnConsumedCapacity: "TOTAL",
    });
    const { Item: item } = await client.send(command, deadline.options()).catch((error: unknown) => {
      throw awsError(error, `reading from table ${table} failed`);
    });
    if (!item) return undefined;
    const { row } = readRow(item, pk, digest);
    if (row.ok) return { tenant, group, sequence, place: row.value.place };
    throw new PayloadStoreError("CORRUPT", `row ${sequence} of ${JSON.stringify(pk)} in table ${table}: ${row.damage}`);
  }

  async count(tenant: string, group: string): Promise<GroupCount> {
    const { pages, basis } = await this.#pages(tenant, group);
    return { basis, ...pages.count() };
  }

  async *groups(tenant: string): AsyncGenerator<GroupSummary> {
    for await (const { group, pages } of this.#scan(tenant)) {
      const { payloads } = pages.count();
      if (payloads > 0) yield { group, payloads };
    }
  }

  async *all(): AsyncGenerator<PageRecord> {
    for await (const { pages, last } of this.#scan()) {
      for (let sequence = 1; sequence <= last; sequence++) {
        const record = pages.record(sequence);
        if (record) yield record;
      }
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

  damage(): readonly SegmentDamage[] {
    return [];
  }

  async checkpoint(): Promise<void> {}

  async close(): Promise<void> {}

  #encode(record: PageRecord, page: Page): Uint8Array {
    const { digest, hasher } = this.#options;
    const { tenant, group, sequence, place } = record;
    const pk = partitionKey(tenant, group);
    const bodyBytes = page.blocks.reduce((sum, block) => sum + blockHeaderBytes + block.bodyBytes, 0);
    const hashes = place.held ? undefined : hasher.page(tenant, group, page);
    const bytes = encodeRow({ place, bodyBytes, hashes }, pk, sequence, digest);
    if (bytes.length + keyBytes(pk) <= rowBytesMax) return bytes;
    throw new PayloadStoreError(
      "TOO_LARGE",
      `the commit's row has ${bytes.length} bytes; at most ${rowBytesMax}: commit fewer payloads at once`,
    );
  }

  /** Whether the row that took the sequence is the one that was to be put. */
  async #isThere(record: PageRecord, item: Record<string, AttributeValue> | undefined): Promise<boolean> {
    const { tenant, group, sequence, place } = record;
    // Servers that do not answer the row have to be asked for it.
    if (!item) {
      const there = await this.record(tenant, group, sequence);
      return there !== undefined && samePlace(there.place, place);
    }
    const { row } = readRow(item, partitionKey(tenant, group), this.#options.digest);
    return row.ok && samePlace(row.value.place, place);
  }

  /** What is known of a group's newest page after its sequence turned out to be taken. */
  async #afterLostRace(pk: string, sequence: number, putMs: number): Promise<number> {
    const before = this.#fresh(pk);
    if (before && !before.contended && before.basis.sequence === sequence - 1) {
      // Somebody else wrote the group since: most likely once, so the next sequence is tried before anything is asked.
      this.#known.set(pk, { basis: { sequence, knownMs: putMs }, contended: true });
      return sequence;
    }
    return this.#queryLast(pk);
  }

  async #queryLast(pk: string): Promise<number> {
    const { client, table, clock, deadline } = this.#options;
    const knownMs = clock.nowMs();
    const command = new QueryCommand({
      TableName: table,
      ...ofPartition(pk),
      ConsistentRead: true,
      ScanIndexForward: false,
      Limit: 1,
      ProjectionExpression: "sk",
      ReturnConsumedCapacity: "TOTAL",
    });
    try {
      const { Items: items } = await client.send(command, deadline.options());
      const sequence = Number(items?.[0]?.["sk"]?.N ?? 0);
      this.#know(pk, { sequence, knownMs });
      return sequence;
    } catch (error) {
      throw awsError(error, `reading from table ${table} failed`);
    }
  }

  /** All rows of a group, as they are now. */
  async #pages(tenant: string, group: string): Promise<{ readonly pages: GroupPages; readonly basis: Basis }> {
    const pk = partitionKey(tenant, group);
    for (let again = false; ; again = true) {
      const knownMs = this.#options.clock.nowMs();
      const rows = await this.#queryAll(pk);
      const pages = new GroupPages({ tenant, group }, rows, this.#options);
      // Rows that are swept while a long query goes on look like a gap, once.
      if (pages.hasGap && !again) continue;
      const basis = { sequence: pages.last, knownMs };
      this.#know(pk, basis);
      return { pages, basis };
    }
  }

  async #queryAll(pk: string): Promise<ReadRow[]> {
    const { client, table, digest, deadline } = this.#options;
    const rows: ReadRow[] = [];
    const input = { TableName: table, ...ofPartition(pk), ConsistentRead: true, ReturnConsumedCapacity: "TOTAL" } as const;
    try {
      for await (const { Items: items } of paginateQuery({ client }, input, deadline.options())) {
        for (const item of items ?? []) rows.push(readRow(item, pk, digest));
      }
    } catch (error) {
      throw awsError(error, `reading from table ${table} failed`);
    }
    return rows;
  }

  /** Groups with their pages, one after the other. A scan answers the rows of a partition together, in their order. */
  async *#scan(
    tenant?: string,
  ): AsyncGenerator<{ readonly group: string; readonly pages: GroupPages; readonly last: number }> {
    const { client, table, digest } = this.#options;
    const ofTenant =
      tenant === undefined
        ? {}
        : { FilterExpression: "begins_with(pk, :t)", ExpressionAttributeValues: { ":t": { S: `${tenant}/` } } };
    const input = { TableName: table, ConsistentRead: true, ...ofTenant };
    let pk = "";
    let rows: ReadRow[] = [];
    const group = () => {
      const [owner = "", ...rest] = pk.split("/");
      const name = rest.join("/");
      const pages = new GroupPages({ tenant: owner, group: name }, rows, this.#options);
      return { group: name, pages, last: pages.last };
    };
    try {
      for await (const { Items: items } of paginateScan({ client }, input)) {
        for (const item of items ?? []) {
          const owner = item["pk"]?.S ?? "";
          if (owner.startsWith("~")) continue;
          if (owner !== pk && rows.length > 0) yield group();
          if (owner !== pk) rows = [];
          pk = owner;
          rows.push(readRow(item, pk, digest));
        }
      }
      if (rows.length > 0) yield group();
    } catch (error) {
      throw awsError(error, `scanning table ${table} failed`);
    }
  }

  #know(pk: string, basis: Basis): void {
    this.#known.set(pk, { basis, contended: false });
  }

  #fresh(pk: string): Known | undefined {
    const known = this.#known.get(pk);
    return known && this.#options.clock.nowMs() - known.basis.knownMs <= knownMsMax ? known : undefined;
  }
}

/** A tenant has no slash, so that the two cannot be mistaken. */
export function partitionKey(tenant: string, group: string): string {
  return `${tenant}/${group}`;
}

function ofPartition(pk: string) {
  return { KeyConditionExpression: "pk = :pk", ExpressionAttributeValues: { ":pk": { S: pk } } };
}

function readRow(item: Record<string, AttributeValue>, pk: string, digest: Digest): ReadRow {
  const sequence = Number(item["sk"]?.N);
  const bytes = item["r"]?.B;
  return { sequence, row: bytes ? decodeRow(bytes, pk, sequence, digest) : damaged("the row has no record") };
}
