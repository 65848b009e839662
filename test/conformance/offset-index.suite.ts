import assert from "node:assert/strict";
import type { Digest } from "../../core/ports/digest.ts";
import type { OffsetIndex } from "../../core/ports/offset-index.ts";
import type { SegmentStore } from "../../core/ports/segment-store.ts";
import { collect } from "./expectations.ts";
import { IndexWork, type PageSketch } from "./index-work.ts";
import { Draws } from "./sample-bytes.ts";
import { testFunctions, type TestFunctions } from "./test-functions.ts";

/** An index that a test has for itself. */
export interface OffsetIndexUnderTest {
  /** Empty. */
  readonly index: OffsetIndex;
  /** Where the pages lie that are committed: an index may read them from there. */
  readonly segments: SegmentStore;
  readonly end: () => Promise<void>;
}

export interface OffsetIndexSuite {
  readonly name: string;
  readonly open: () => Promise<OffsetIndexUnderTest>;
  /** Checksums of the format: `nodeDigest`, or any other that computes the same. */
  readonly digest: Digest;
  /**
   * `one`, the default: groups are listed in the order of their first page, and a page that leaves a gap is refused.
   * `many`: only the next sequence is guarded, for a writer never asks for another one.
   */
  readonly writers?: "one" | "many" | undefined;
  /** Share of the large counts that is done, for an index behind a slow server; 1 by default. */
  readonly scale?: number | undefined;
  /** Vitest unless given. */
  readonly test?: TestFunctions | undefined;
}

const tenant = "acme";
const group = "g";

/** What every index promises. `await` it: it may have to load the runner first. */
export async function offsetIndexSuite(suite: OffsetIndexSuite): Promise<void> {
  const { name, open, digest, writers = "one", scale = 1, test: runner } = suite;
  const { describe, test } = await testFunctions(runner);
  const given = (sentence: string, body: (work: IndexWork) => Promise<void>) =>
    test(sentence, async () => {
      const opened = await open();
      try {
        await body(new IndexWork(opened.index, opened.segments, digest));
      } finally {
        await opened.index.close();
        await opened.end();
      }
    });

  describe(`${name} as an offset index`, () => {
    given("knows nothing at first", async ({ index }) => {
      assert.equal(await index.lastSequence(tenant, group), 0);
      assert.deepEqual((await index.records(tenant, group)).records, []);
      assert.deepEqual((await index.records(tenant, group, "a")).records, []);
      assert.deepEqual(await collect(index.groups(tenant)), []);
      assert.deepEqual(await collect(index.all()), []);
      assert.deepEqual(index.damage(), []);
      const nothing = { payloads: 0, rawBytes: 0, storedBytes: 0, none: 0, lz4: 0, zstd: 0, exact: true };
      assert.deepEqual(await index.totals(tenant), nothing);
    });

    given("commits the pages of a group as 1, 2, 3 …, and answers them newest first", async (work) => {
      const records = [];
      for (const id of ["a", "b", "a"]) records.push((await work.commit(tenant, group, { puts: { [id]: 10 } })).record);

      const found = await work.index.records(tenant, group);

      assert.deepEqual(found.records, records.toReversed());
      assert.equal(found.incomplete, undefined);
      assert.equal(await work.index.lastSequence(tenant, group), 3);
      assert.deepEqual(await work.index.totals(tenant), { ...work.model.totals(tenant), payloads: 2, rawBytes: 20 });
    });

    given("answers taken for a sequence that is not the next, and stays as it was", async (work) => {
      await work.commit(tenant, group, { puts: { a: 10 } });
      await work.commit(tenant, group, { puts: { b: 10 } });
      const { page, blocks } = work.page({ puts: { c: 10 } });

      for (const sequence of writers === "one" ? [1, 2, 4, 7] : [1, 2]) {
        const place = await work.store(tenant, group, sequence, page, blocks);
        const outcome = await work.index.commit({ tenant, group, sequence, place }, page);
        assert.deepEqual(outcome, { kind: "taken", last: 2 }, `sequence ${sequence}`);
      }

      await work.expectSame([tenant], [group], ["a", "b", "c"]);
    });

    given("answers committed again for a page that is there already, and counts it once", async (work) => {
      const committed = [];
      for (const id of ["a", "b", "c"]) committed.push(await work.commit(tenant, group, { puts: { [id]: 10 } }));

      for (const { record, page } of [...committed, ...committed]) {
        assert.deepEqual(await work.index.commit(record, page), { kind: "committed" });
      }

      await work.expectSame([tenant], [group], ["a", "b", "c"]);
    });

    given("decides each id by its newest page: replaced, hidden, cleared, and stored again", async (work) => {
      const ids = ["a", "b", "c", "d"];
      const sketches: PageSketch[] = [
        { puts: { a: 10, b: 20, c: 30 } },
        { puts: { b: 40 } },
        { deletes: ["a"] },
        { deletes: ["d", "c", "a"] },
        { puts: { a: 50, d: 60 } },
        { clears: true },
        { puts: { b: 0 } },
        { clears: true, puts: { c: 7, d: 8 } },
        { deletes: ["c"] },
        { puts: { c: 9 } },
      ];

      for (const sketch of sketches) {
        await work.commit(tenant, group, sketch);
        await work.expectSame([tenant], [group], ids);
      }
    });

    given("tells tenants and groups apart, also by names that look like others joined", async (work) => {
      const groups = ["a", "a/b", "b", "a\0b", "é", "__proto__", "x".repeat(512)];
      const tenants = ["a", "a-b", "b"];

      for (const [i, owner] of tenants.entries()) {
        for (const [j, name] of groups.entries()) {
          await work.commit(owner, name, { puts: { a: i * 100 + j + 1, [`only ${i} ${j}`]: 5 } });
          if ((i + j) % 3 === 0) await work.commit(owner, name, { deletes: ["a"] });
        }
      }

      await work.expectSame(tenants, groups, ["a", "only 0 0", "only 1 2", "only 2 6"]);
    });

    given("lists groups that have payloads, in the order of their first page", async (work) => {
      for (const name of ["z", "m", "a"]) await work.commit(tenant, name, { puts: { x: 1, y: 2 } });
      await work.commit(tenant, "m", { clears: true });
      await work.commit(tenant, "z", { puts: { x: 3, w: 4 } });

      const summaries = await collect(work.index.groups(tenant));
      const listed = summaries.map(({ group, payloads }) => ({ group, payloads }));
      assert.deepEqual(writers === "one" ? listed : listed.toSorted((a, b) => b.payloads - a.payloads), [
        { group: "z", payloads: 3 },
        { group: "a", payloads: 2 },
      ]);
      await work.expectSame([tenant], ["z", "m", "a"], ["x", "y", "w"]);
    });

    given("enumerates every page of every tenant, oldest first within a group", async (work) => {
      for (let i = 0; i < 5; i++) {
        for (const owner of ["a", "b"]) await work.commit(owner, `g${i % 2}`, { puts: { [`${i}`]: 5 } });
      }

      const all = await collect(work.index.all());

      const places = all.map(({ tenant: owner, place }) => `${owner}/${place.segment}/${place.offset}`);
      const committed = work.model.records.filter(({ tenant: owner, group: name }) => owner === "a" && name === "g0");
      assert.equal(all.length, 10);
      const positions = committed.map(({ place }) => places.indexOf(`a/${place.segment}/${place.offset}`));
      assert.deepEqual(
        positions,
        positions.toSorted((x, y) => x - y),
      );
    });

    given("finds the page of an idempotent request, also when all it brought is replaced or hidden", async (work) => {
      const answered = [];
      for (const request of ["r1", "r2", "a"])
        answered.push((await work.commit(tenant, group, { puts: { a: 10, [request]: 5 }, request })).record);
      await work.commit(tenant, group, { clears: true });
      await work.commit(tenant, group, { puts: { a: 1, r1: 2 } });

      for (const [i, request] of ["r1", "r2", "a"].entries()) {
        const { records } = await work.index.requests(tenant, group, request);
        assert.deepEqual(records[0], answered[i]);
      }
      for (const [owner, name, request] of [
        [tenant, group, "r3"],
        [tenant, "h", "r1"],
        ["other", group, "r1"],
      ] as const) {
        assert.deepEqual((await work.index.requests(owner, name, request)).records, []);
      }
      await work.expectSame([tenant], [group], ["a", "r1", "r2"]);
    });

    given("answers as a plain list of pages does, after random work", async (work) => {
      const draws = new Draws(31);
      const tenants = ["a", "b"];
      const groups = ["g", "h", "i"];
      const ids = Array.from({ length: 12 }, (_, i) => `${i}`);
      for (let step = 0; step < Math.ceil(300 * scale); step++) {
        const puts: Record<string, number> = {};
        const kind = draws.below(10);
        if (kind < 7) for (let i = draws.below(5); i >= 0; i--) puts[draws.pick(ids)] = draws.logUniform(500);
        const deletes = kind >= 7 && kind < 9 ? [draws.pick(ids)] : [];
        const merges = writers === "one" && draws.below(8) === 0 ? { mergesBut: draws.below(4) } : {};
        await work.commit(draws.pick(tenants), draws.pick(groups), { puts, deletes, clears: kind === 9, ...merges });
        if (step % 20 === 0) await work.index.checkpoint();
        if (step % 10 === 9) await work.expectSame(tenants, groups, ids);
      }
    });

    given("commits pages of different groups at once", async (work) => {
      const groups = Array.from({ length: Math.max(5, Math.ceil(20 * scale)) }, (_, i) => `g${i}`);
      await Promise.all(
        groups.map(async (name, i) => {
          for (let n = 0; n < 10; n++) await work.commit(tenant, name, { puts: { a: 1 + n, [`${n}`]: 1 + i } });
          await work.commit(tenant, name, { deletes: ["3", "a"] });
        }),
      );

      assert.equal((await work.index.totals(tenant)).payloads, groups.length * 9);
      for (const name of groups) assert.equal(await work.sequenceOf(tenant, name, "a"), undefined);
      assert.deepEqual(await work.index.totals(tenant), work.model.totals(tenant));
    });

    given("can be checkpointed and closed at any time", async (work) => {
      await work.index.checkpoint();
      await work.commit(tenant, group, { puts: { a: 10 } });
      await Promise.all([work.index.checkpoint(), work.index.checkpoint()]);
      await work.expectSame([tenant], [group], ["a", "b"]);
      await work.index.close();
    });
  });
}
