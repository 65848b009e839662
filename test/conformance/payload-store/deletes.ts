import assert from "node:assert/strict";
import { collect, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { prose, text } from "../sample-bytes.ts";

const tenant = "acme";

/** What is deleted is absent at once, everywhere. */
export function deleteCases({ describe, given }: PayloadStoreCases): void {
  describe("delete", () => {
    given("hides a payload from every way to ask for it, and says that there was one", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, prose(2000, 1));
      await store.append({ tenant, group: "g", id: "b" }, text("stays"));

      const deleted = await store.delete(key);

      assert.equal(deleted, true);
      assert.equal(await store.get(key), undefined);
      assert.equal(await store.head(key), undefined);
      assert.equal(await store.has(key), false);
      assert.deepEqual(await store.getMany({ tenant, group: "g" }, ["a"]), [undefined]);
      assert.deepEqual(
        (await collect(store.contents({ tenant, group: "g" }))).map(({ id }) => id),
        ["b"],
      );
      assert.deepEqual(await collect(store.groups({ tenant })), [{ group: "g", payloads: 1 }]);
      assert.equal(await store.size({ tenant }), 1);
      assert.equal((await store.stats({ tenant })).uncompressedBytes, 5);
    });

    given("says that there was nothing, for an id or a group unknown or deleted before", async ({ store }) => {
      await store.append({ tenant, group: "g", id: "a" }, text("x"));
      await store.delete({ tenant, group: "g", id: "a" });

      assert.equal(await store.delete({ tenant, group: "g", id: "a" }), false);
      assert.equal(await store.delete({ tenant, group: "g", id: "never" }), false);
      assert.equal(await store.delete({ tenant, group: "never", id: "a" }), false);
      assert.equal(await store.delete({ tenant: "other", group: "g", id: "a" }), false);
    });

    given("hides one payload of a batch and leaves those that share its block", async ({ store }) => {
      const items = Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, bytes: prose(300, i) }));
      await store.appendMany({ tenant, group: "g" }, items);

      assert.equal(await store.delete({ tenant, group: "g", id: "7" }), true);

      for (const { id, bytes } of items) {
        const found = await store.get({ tenant, group: "g", id });
        if (id === "7") assert.equal(found, undefined);
        else sameBytes(found, bytes, id);
      }
    });

    given("lets the id be stored again", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, text("first"));
      await store.delete(key);

      await store.append(key, text("again"));

      sameBytes(await store.get(key), text("again"));
      assert.equal(await store.size({ tenant }), 1);
    });

    given("counts a payload once when many delete it at once", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, text("x"));

      const answers = await Promise.all(Array.from({ length: 20 }, () => store.delete(key)));

      assert.equal(answers.filter(Boolean).length, 1);
      assert.equal(await store.size({ tenant }), 0);
    });
  });

  describe("deleteGroup", () => {
    given("hides every payload of the group and says how many there were", async ({ store }) => {
      const items = Array.from({ length: 30 }, (_, i) => ({ id: `${i}`, bytes: prose(100, i) }));
      await store.appendMany({ tenant, group: "g" }, items);
      await store.append({ tenant, group: "g", id: "0" }, text("overwritten"));
      await store.delete({ tenant, group: "g", id: "1" });
      await store.append({ tenant, group: "stays", id: "0" }, text("stays"));

      const deleted = await store.deleteGroup({ tenant, group: "g" });

      assert.equal(deleted, 29);
      for (const { id } of items) assert.equal(await store.get({ tenant, group: "g", id }), undefined);
      assert.deepEqual(await collect(store.list({ tenant, group: "g" })), []);
      assert.deepEqual(await collect(store.groups({ tenant })), [{ group: "stays", payloads: 1 }]);
      assert.equal((await store.stats({ tenant })).uncompressedBytes, 5);
      assert.equal(await store.deleteGroup({ tenant, group: "g" }), 0);
      assert.equal(await store.deleteGroup({ tenant, group: "never" }), 0);
    });

    given("leaves a group that can be written again, in a new order", async ({ store }) => {
      for (const id of ["a", "b"]) await store.append({ tenant, group: "g", id }, text(id));
      await store.deleteGroup({ tenant, group: "g" });

      for (const id of ["c", "b", "a"]) await store.append({ tenant, group: "g", id }, text(`new ${id}`));

      const listed = await collect(store.list({ tenant, group: "g" }));
      assert.deepEqual(
        listed.map(({ id }) => id),
        ["c", "b", "a"],
      );
      sameBytes(await store.get({ tenant, group: "g", id: "a" }), text("new a"));
      assert.equal(await store.size({ tenant }), 3);
    });
  });
}
