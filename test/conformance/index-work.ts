import assert from "node:assert/strict";
import { findInPage } from "../../core/page/find-in-page.ts";
import { encodePage, placesOf, type Page, type PageBlock, type PageEntry } from "../../core/page/page.ts";
import type { Digest } from "../../core/ports/digest.ts";
import type { GroupSummary, OffsetIndex, PageRecord } from "../../core/ports/offset-index.ts";
import type { FramePlace, SegmentStore } from "../../core/ports/segment-store.ts";
import type { EncodedBlock } from "../../core/segment/block.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { collect } from "./expectations.ts";
import { IndexModel } from "./index-model.ts";
import { noise } from "./sample-bytes.ts";

/** What a test wants a page to say. */
export interface PageSketch {
  /** Lengths of payloads by id. */
  readonly puts?: Readonly<Record<string, number>>;
  readonly deletes?: readonly string[];
  readonly clears?: boolean;
  /** Brings all payloads again that pages up to the newest but so many brought, and hides these. */
  readonly mergesBut?: number;
  /** Key of the request that the page answers. */
  readonly request?: string;
}

/** An index at work, with the segments its pages lie in and a model that is told everything it is told. */
export class IndexWork {
  readonly index: OffsetIndex;
  readonly segments: SegmentStore;
  readonly model: IndexModel;
  readonly #reader: FrameReader;
  #commits = 0;

  /**
   * @param model  of what the index was told already
   */
  constructor(index: OffsetIndex, segments: SegmentStore, digest: Digest, model: IndexModel = new IndexModel()) {
    this.model = model;
    this.index = index;
    this.segments = segments;
    this.#reader = new FrameReader(segments, digest);
  }

  page(
    { puts = {}, deletes = [], clears = false, request }: PageSketch,
    merged?: Page["merged"],
  ): { page: Page; blocks: EncodedBlock[] } {
    this.#commits += 1;
    const lengths = Object.entries(puts);
    const entries = lengths.map(([id, bytes]): PageEntry => ({ id, bytes, etag: "ab".repeat(12) }));
    const blocks = lengths
      .filter(([, bytes]) => bytes > 0)
      .map(([, bytes], i): EncodedBlock => {
        const body = noise(bytes, this.#commits + i);
        const codec = bytes % 3 === 0 ? 0 : bytes % 3 === 1 ? 1 : 2;
        return { codec, rawBytes: bytes, body };
      });
    const inPage = blocks.map(({ codec, rawBytes, body }): PageBlock => ({ codec, rawBytes, bodyBytes: body.length }));
    const commitId = noise(16, this.#commits);
    const asked = request === undefined ? undefined : { key: request, bodyHash: noise(16, 1) };
    return {
      page: { commitId, request: asked, clearsGroup: clears, merged, deleted: deletes, blocks: inPage, entries },
      blocks,
    };
  }

  /**
   * Stores a page under the group's next sequence, and commits it to index and model.
   * @param meanwhile  what happens while it becomes durable, other commits of the group excepted
   */
  async commit(
    tenant: string,
    group: string,
    sketch: PageSketch,
    meanwhile?: () => Promise<void>,
  ): Promise<{ record: PageRecord; page: Page }> {
    const { page, blocks } =
      sketch.mergesBut === undefined ? this.page(sketch) : this.#merged(tenant, group, sketch.mergesBut);
    const sequence = this.model.lastSequence(tenant, group) + 1;
    const place = await this.store(tenant, group, sequence, page, blocks);
    const record = { tenant, group, sequence, place };
    if (meanwhile) {
      this.index.prepare?.(tenant, group, page, placesOf(page));
      await meanwhile();
    }
    assert.deepEqual(await this.index.commit(record, page), { kind: "committed" });
    this.model.commit(record, page);
    return { record, page };
  }

  #merged(tenant: string, group: string, but: number): { page: Page; blocks: EncodedBlock[] } {
    const through = Math.max(0, this.model.lastSequence(tenant, group) - but);
    const live = [...this.model.live(tenant, group)].filter(([, { sequence }]) => sequence <= through);
    const puts = Object.fromEntries(live.map(([id, { place }]) => [id, place.entry.bytes]));
    return this.page({ puts }, { through, tier: 1, requests: [], order: [] });
  }

  /** @returns the place as the index answers it, which forgets when it was stored. */
  async store(
    tenant: string,
    group: string,
    sequence: number,
    page: Page,
    blocks: EncodedBlock[],
  ): Promise<FramePlace> {
    const kind = page.entries.length > 0 ? "payloads" : "tombstone";
    const frame = { kind, group, sequence, timeMs: 1, page: encodePage(page), blocks } as const;
    const { storedMs: _, ...place } = await this.segments.append(tenant, frame);
    return place;
  }

  /** The sequence of the page that holds an id's payload, as a store finds it; `undefined` where it is absent. */
  async sequenceOf(tenant: string, group: string, id: string): Promise<number | undefined> {
    const narrowed = await this.#decide(tenant, group, id, id);
    if (narrowed !== "silent") return narrowed;
    const whole = await this.#decide(tenant, group, id, undefined);
    return whole === "silent" ? undefined : whole;
  }

  async #decide(tenant: string, group: string, id: string, asked: string | undefined) {
    const { records, incomplete } = await this.index.records(tenant, group, asked);
    assert.equal(incomplete, undefined);
    for (const { place, sequence } of records) {
      const { page } = await this.#reader.head(tenant, place);
      const answer = findInPage(page, id);
      assert.ok(answer.ok);
      if (answer.value.kind === "payload") return sequence;
      if (answer.value.kind === "hidden") return undefined;
    }
    return records.length === 0 ? undefined : "silent";
  }

  /** Asserts that the index answers as the model does, for these groups and ids. */
  async expectSame(tenants: readonly string[], groups: readonly string[], ids: readonly string[]): Promise<void> {
    for (const tenant of tenants) {
      assert.deepEqual(await this.index.totals(tenant), this.model.totals(tenant));
      const [found, expected] = [await collect(this.index.groups(tenant)), this.model.groups(tenant)];
      assert.deepEqual(byName(found.map(({ group, payloads }) => ({ group, payloads }))), byName(expected));
      for (const group of groups) {
        assert.equal(await this.index.lastSequence(tenant, group), this.model.lastSequence(tenant, group));
        const live = this.model.live(tenant, group);
        for (const id of ids) {
          assert.equal(await this.sequenceOf(tenant, group, id), live.get(id)?.sequence, `${tenant} ${group} ${id}`);
        }
        await this.expectSameTogether(tenant, group, ids);
      }
    }
    const names = (records: readonly PageRecord[]) =>
      records.map(({ tenant, place, sequence }) => `${tenant}/${place.segment}/${place.offset} ${sequence}`).toSorted();
    assert.deepEqual(names(await collect(this.index.all())), names(this.model.records));
  }

  /** Ids that are asked together have the answers that each has alone. */
  async expectSameTogether(tenant: string, group: string, ids: readonly string[]): Promise<void> {
    const twice = [...ids, "never", ...ids];
    const together = await this.index.recordsOf?.(tenant, group, twice);
    if (!together || this.index.shared) return;
    for (const [i, id] of twice.entries()) {
      const alone = await this.index.records(tenant, group, id);
      assert.deepEqual(together[i]?.records, alone.records, `${tenant} ${group} ${id}`);
      assert.equal(together[i]?.basis.sequence, alone.basis.sequence);
      assert.deepEqual(together[i]?.incomplete, alone.incomplete);
    }
  }
}

function byName(groups: readonly GroupSummary[]): GroupSummary[] {
  return groups.toSorted((a, b) => (a.group < b.group ? -1 : 1));
}
