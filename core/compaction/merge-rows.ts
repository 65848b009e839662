import { isExpired } from "../expiry.ts";
import { throwIfAborted, PayloadStoreError } from "../errors.ts";
import { GroupView, type PlacedPayload } from "../group-view.ts";
import { limits } from "../limits.ts";
import {
  decodePage,
  decodePlacedPage,
  encodePage,
  type FirstPlace,
  type MergedRequest,
  type Page,
  type PageBlock,
  type PageEntry,
} from "../page/page.ts";
import { hasTerms, type Term, termsOf } from "../page/terms.ts";
import { locationOf } from "../payload-head.ts";
import type { Random } from "../ports/random.ts";
import type { TermRows } from "../ports/term-rows.ts";
import type { EncodedBlock } from "../segment/block.ts";
import type { RetentionRules } from "../retention.ts";
import type { CountingRow, GroupRows, Mentions } from "../rows/group-rows.ts";
import { endOf } from "../rows/group-pages.ts";
import type { IdHasher } from "../rows/id-hasher.ts";
import { type BlockTools, mergedBlocks } from "./merged-blocks.ts";
import { countExpired, type Expired, noneExpired } from "./expired-count.ts";
import { mergedBytesMax } from "./merge-group.ts";
import type { RowRun } from "./row-plan.ts";
import type { BlocksAs } from "./segment-draft.ts";
import { tierOf } from "./plan.ts";

export interface RowMergeTools extends BlockTools {
  readonly hasher: IdHasher;
  readonly random: Random;
  readonly retention: RetentionRules;
  /** Rows by which payloads are found, if the store keeps any. */
  readonly terms?: TermRows | undefined;
}

/** What is written in the place of the rows of a run, or of its first ones. */
export interface RunDraft {
  readonly page: Page;
  /** The same as it is stored. */
  readonly encoded: Uint8Array;
  readonly blocks: readonly EncodedBlock[];
  readonly sequence: number;
  readonly before: CountingRow;
  /** The first of the rows that it stands for, by its place among those that count. */
  readonly from: number;
  /** The last of the rows that it stands for, by its place among those that count. */
  readonly to: number;
  readonly rawBytes: number;
  /** Bytes of the rows and frames that it stands for. */
  readonly bytesIn: number;
  readonly expired: Readonly<Expired>;
  /** The group has nothing any more. */
  readonly closes: boolean;
  /** Attributes that go with these rows: none of the payloads that stay in them has them. */
  readonly lost: readonly Term[];
}

/** Requests are honoured for a day: docs/format.md §7. */
const requestsKeptMs = 86_400_000;

/** Heads that are read at once. */
const headsAtOnce = 16;

export interface DraftOptions {
  /** Makes the draft of a page with these entries for the segment that it is to lie in. */
  readonly into: (entries: Page["entries"], make: (as: BlocksAs) => Promise<RunDraft>) => Promise<RunDraft>;
  readonly nowMs: number;
  /** Whether what lies in a segment must be written again. */
  readonly mustMove?: ((segment: string) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The page that stands for the rows of a run, as many from its first on as fit one page.
 *
 * @returns nothing where a page would not differ from the row that is there
 * @throws {PayloadStoreError} `CORRUPT`, `GONE` when something that is alive cannot be read
 * Cost: the heads of the rows that do not keep them, and what is alive.
 */
export async function draftRun(
  tools: RowMergeTools,
  { tenant, group, counting }: GroupRows,
  { from, to, reason }: RowRun,
  mentions: Mentions,
  { nowMs, into, mustMove, signal }: DraftOptions,
): Promise<RunDraft | undefined> {
  const view = new GroupView();
  const deleted = new Set<string>();
  const requests: MergedRequest[] = [];
  const taken = new Map<string, number>();
  const sums = { payloads: 0, rawBytes: 0, bytesIn: 0, madeMs: 0, clears: false };
  const expired = noneExpired();
  const indexed = tools.terms?.indexed ?? new Set<string>();
  const brought: PageEntry[] = [];
  let last = from - 1;
  let uploaded = false;
  for await (const { index, row, timeMs, bytes } of pagesOf(tools, tenant, group, counting, from, to)) {
    throwIfAborted(signal);
    const { place } = row.row.ok ? row.row.value : { place: undefined };
    const read = decodePlacedPage(bytes);
    if (!read.ok || !place) throw new PayloadStoreError("CORRUPT", read.ok ? "the row is damaged" : read.damage);
    const { page, places } = read.value;
    const hashOf = (id: string) => tools.hasher.id(tenant, group, id);
    const alive = page.entries.filter((entry) => mentions.isAlive(hashOf(entry.id), index) && !isExpired(entry, nowMs));
    const more = alive.reduce((sum, entry) => sum + entry.bytes, 0);
    // What lies in an upload has a page to itself.
    const isApart: boolean = uploaded || (page.upload !== undefined && alive.length > 0);
    const isFull =
      isApart ||
      sums.payloads + alive.length > limits.commitPayloadsMax ||
      sums.rawBytes + more > mergedBytesMax ||
      requests.length > requestsMax;
    if (index > from && isFull) break;
    uploaded = isApart;
    sums.payloads += alive.length;
    sums.rawBytes += more;
    sums.bytesIn += row.record.length + (place.inline ? 0 : place.headBytes + bodyBytesOf(page));
    sums.madeMs = Math.max(sums.madeMs, timeMs);
    sums.clears ||= page.clearsGroup;
    last = index;
    const placed = { group, sequence: row.sequence, timeMs, place };
    view.add(placed, read.value);
    for (const { id } of alive) taken.set(id, index);
    if (indexed.size > 0) brought.push(...page.entries);
    for (const id of page.deleted) deleted.add(id);
    for (const entry of page.entries) {
      if (!isExpired(entry, nowMs)) continue;
      deleted.add(entry.id);
      if (!mentions.isAlive(hashOf(entry.id), index)) continue;
      countExpired(expired, tools.retention, tenant, entry, entry.origin?.timeMs ?? timeMs);
    }
    if (page.request && timeMs > nowMs - requestsKeptMs) {
      const answer = places.map((found) => locationOf(placed, found));
      requests.push({ ...page.request, timeMs, answer });
    }
    requests.push(...(page.merged?.requests.filter((request) => request.timeMs > nowMs - requestsKeptMs) ?? []));
  }

  const payloads = view.places().filter(({ found }) => taken.has(found.entry.id));
  const before = counting[from]!;
  const closes = from === 0 && last === counting.length - 1 && payloads.length === 0 && requests.length === 0;
  if (from === last && reason === "rows") return undefined;
  const isBare = typeof before.says !== "string" && before.says.entries.length === 0;
  if (from === last && payloads.length === 0 && !closes && isBare && before.row.ok && before.row.value.covers) {
    // It would say the same again; but the segment that it lies in may have to go.
    if (mustMove?.(before.row.value.place.segment) !== true) return undefined;
  }
  const hides = (id: string) => mentions.hasBefore(tools.hasher.id(tenant, group, id), from);
  const tier = tierOf(sums.madeMs, nowMs);
  const through = from === 0 ? endOf(counting[last]!) : 0;
  const [first] = payloads;
  const upload = first?.found.upload;
  const order = orderOf(tools.hasher, { tenant, group }, view, taken, mentions, last);
  const entries = payloads.map((payload) => entryOf(payload));
  const { rawBytes, bytesIn } = sums;
  const lost = termsMissingIn(entries, termsOf({ entries: brought }, indexed));
  return into(entries, async (as) => {
    const blocks = upload === undefined ? await mergedBlocks(tools, tenant, payloads, { tier, ...as }) : [];
    const page: Page = {
      commitId: tools.random.bytes(16),
      // Nothing is older than the first row.
      clearsGroup: sums.clears && from > 0,
      merged: { through, tier, requests, order },
      deleted: from === 0 ? [] : [...deleted].filter(hides),
      upload,
      // An upload's bytes stay where they are.
      blocks:
        upload === undefined
          ? blocks.map(({ codec, rawBytes, body }): PageBlock => ({ codec, rawBytes, bodyBytes: body.length }))
          : first!.found.blocks,
      entries,
    };
    const sequence = endOf(counting[last]!);
    const encoded = encodePage(page);
    return { page, encoded, blocks, sequence, before, from, to: last, rawBytes, bytesIn, expired, closes, lost };
  });
}

function termsMissingIn(entries: readonly PageEntry[], terms: readonly Term[]): readonly Term[] {
  return terms.filter((term) => !entries.some(({ attributes }) => hasTerms(attributes, [term])));
}

/**
 * Of attributes those that no payload of a group has, but for the rows of a run.
 *
 * @returns none where not all rows of the group can be read
 * Cost: the heads of the other rows
 */
export async function termsWithout(
  tools: RowMergeTools,
  { tenant, group, counting, hasGap }: GroupRows,
  run: { readonly from: number; readonly to: number },
  mentions: Mentions,
  { terms, nowMs }: { readonly terms: readonly Term[]; readonly nowMs: number },
): Promise<readonly Term[]> {
  if (hasGap || counting.some(({ says }) => typeof says === "string")) return [];
  let left = terms;
  for (const [from, to] of [
    [0, run.from - 1],
    [run.to + 1, counting.length - 1],
  ] as const) {
    if (left.length === 0) break;
    for await (const { index, bytes } of pagesOf(tools, tenant, group, counting, from, to)) {
      const page = decodePage(bytes);
      if (!page.ok) return [];
      const isAlive = (entry: PageEntry) =>
        mentions.isAlive(tools.hasher.id(tenant, group, entry.id), index) && !isExpired(entry, nowMs);
      left = termsMissingIn(page.value.entries.filter(isAlive), left);
    }
  }
  return left;
}

/** Requests of one page, some: the rest goes into the next. */
const requestsMax = 4096;

function entryOf({ found: { entry }, page, sequence, position }: PlacedPayload): Page["entries"][number] {
  return { ...entry, origin: { timeMs: entry.origin?.timeMs ?? page.timeMs, sequence, position } };
}

/** The places of payloads that later rows bring again. */
function orderOf(
  hasher: IdHasher,
  { tenant, group }: { readonly tenant: string; readonly group: string },
  view: GroupView,
  taken: ReadonlyMap<string, number>,
  mentions: Mentions,
  last: number,
): readonly FirstPlace[] {
  const isKept = (id: string) => !taken.has(id) && mentions.isOverwritten(hasher.id(tenant, group, id), last);
  const brought = view.places().map(({ found, sequence, position }) => ({ id: found.entry.id, sequence, position }));
  const told = [...view.firsts()].map(([id, place]) => ({ id, ...place }));
  return [...brought, ...told].filter(({ id }) => isKept(id));
}

async function* pagesOf(
  { frames }: RowMergeTools,
  tenant: string,
  group: string,
  counting: readonly CountingRow[],
  from: number,
  to: number,
): AsyncGenerator<{ index: number; row: CountingRow; timeMs: number; bytes: Uint8Array }> {
  for (let at = from; at <= to; at += headsAtOnce) {
    const some = counting.slice(at, Math.min(to + 1, at + headsAtOnce));
    const heads = await Promise.all(
      some.map(async ({ row }) => (row.ok ? frames.head(tenant, row.value.place) : undefined)),
    );
    for (const [i, head] of heads.entries()) {
      const row = some[i]!;
      if (!head || head.header.group !== group) {
        throw new PayloadStoreError("CORRUPT", `row ${row.sequence} names a frame of another group, or is damaged`);
      }
      yield { index: at + i, row, timeMs: head.header.timeMs, bytes: head.page };
    }
  }
}

function bodyBytesOf(page: Page): number {
  return page.blocks.reduce((sum, block) => sum + block.bodyBytes, 0);
}
