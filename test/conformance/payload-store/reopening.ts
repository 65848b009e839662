import assert from "node:assert/strict";
import type { PayloadStore } from "../../../core/payload-store.ts";
import { collect, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { noise, prose, text } from "../sample-bytes.ts";

const tenant = "acme";

/** What the next process finds. */
export function reopenCases({ describe, given, supports }: PayloadStoreCases): void {
  describe("a store that is opened again", () => {
    given("gives every payload, order, count and answer as before", async ({ store, reopen = () => assert.fail() }) => {
      for (let i = 0; i < 30; i++)
        await store.append({ tenant, group: `g${i % 4}`, id: `${i}` }, i % 2 ? noise(i * 500, i) : prose(i * 9000, i));
      await store.appendMany(
        { tenant, group: "g0" },
        Array.from({ length: 50 }, (_, i) => ({ id: `${i}`, bytes: prose(i, i), attributes: { n: `${i}` } })),
      );
      await store.append({ tenant: "other", id: "lone" }, text("x"), { contentType: "text/plain" });
      const before = await everything(store, supports.moves);

      const again = await reopen();

      assert.deepEqual(await everything(again, supports.moves), before);
      assert.deepEqual((await again.verify()).faults, []);
    });

    given("goes on from there, as often as it is opened", async ({ reopen = () => assert.fail() }) => {
      for (let round = 0; round < 5; round++) {
        const store = await reopen();
        assert.equal(await store.size({ tenant }), round);
        await store.append({ tenant, group: "g", id: `${round}` }, prose(2000, round));
        await store.append({ tenant, group: "g", id: "0" }, prose(3000, round));
      }

      const store = await reopen();
      assert.deepEqual(
        (await collect(store.list({ tenant, group: "g" }))).map(({ id }) => id),
        ["0", "1", "2", "3", "4"],
      );
      sameBytes(await store.get({ tenant, group: "g", id: "0" }), prose(3000, 4));
      sameBytes(await store.get({ tenant, group: "g", id: "3" }), prose(2000, 3));
    });

    given("keeps what was deleted deleted", async ({ store, reopen = () => assert.fail() }) => {
      for (const id of ["a", "b", "c"]) await store.append({ tenant, group: "g", id }, prose(2000, 1));
      await store.append({ tenant, group: "h", id: "a" }, prose(2000, 1));
      await store.delete({ tenant, group: "g", id: "b" });
      await store.deleteGroup({ tenant, group: "h" });
      await store.flush();

      for (let round = 0; round < 3; round++) {
        const again = await reopen();

        assert.equal(await again.has({ tenant, group: "g", id: "b" }), false);
        assert.equal(await again.has({ tenant, group: "h", id: "a" }), false);
        assert.equal(await again.delete({ tenant, group: "g", id: "b" }), false);
        assert.equal(await again.deleteGroup({ tenant, group: "h" }), 0);
        assert.equal(await again.size({ tenant }), 2);
      }
    });

    given("reads the locations and the cursors of before", async ({ store, reopen = () => assert.fail() }) => {
      const location = await store.append({ tenant, group: "g", id: "a" }, prose(2000, 1));
      await store.append({ tenant, group: "g", id: "a" }, prose(10, 2));
      for (const id of ["b", "c"]) await store.append({ tenant, group: "g", id }, text(id));
      const [, second] = await collect(store.list({ tenant, group: "g" }));

      const again = await reopen();

      if (!supports.moves) sameBytes(await again.getAt({ tenant }, location), prose(2000, 1));
      const rest = await collect(again.list({ tenant, group: "g" }, { after: second?.cursor }));
      assert.deepEqual(
        rest.map(({ id }) => id),
        ["c"],
      );
    });

    given("is as empty as it was", async ({ reopen = () => assert.fail() }) => {
      const again = await reopen();

      assert.equal(await again.isEmpty({ tenant }), true);
      assert.deepEqual((await again.verify()).faults, []);
    });
  });
}

async function everything(store: PayloadStore, moves = false): Promise<unknown> {
  const all: unknown[] = [];
  for (const name of [tenant, "other", "nobody"]) {
    const groups = await collect(store.groups({ tenant: name }));
    if (moves) groups.sort((a, b) => (a.group < b.group ? -1 : 1));
    else all.push(await store.stats({ tenant: name }));
    all.push(groups);
    for (const { group } of groups) all.push(await collect(store.contents({ tenant: name, group })));
  }
  return all;
}
