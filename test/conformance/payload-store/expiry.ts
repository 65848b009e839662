import assert from "node:assert/strict";
import { collect, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { prose, text } from "../sample-bytes.ts";

const tenant = "acme";

/** Long ago and far away by every clock. */
const past = new Date("1999-01-01T00:00:00Z");
const future = new Date("2199-01-01T00:00:00Z");

/** What has expired is absent at once, everywhere. */
export function expiryCases({ describe, given, finds }: PayloadStoreCases): void {
  describe("expiresAt", () => {
    given("makes a payload absent for every way to ask for it", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, prose(2000, 1), { expiresAt: past });
      await store.append({ tenant, group: "g", id: "b" }, text("stays"));

      assert.equal(await store.get(key), undefined);
      assert.equal(await store.read(key), undefined);
      assert.equal(await store.readStored(key, [1, 2]), undefined);
      assert.equal(await store.stream(key), undefined);
      assert.equal(await store.head(key), undefined);
      assert.equal(await store.has(key), false);
      assert.deepEqual(await store.getMany({ tenant, group: "g" }, ["a"]), [undefined]);
      for (const seen of [store.list({ tenant, group: "g" }), store.contents({ tenant, group: "g" })]) {
        assert.deepEqual(
          (await collect<{ readonly id: string }>(seen)).map(({ id }) => id),
          ["b"],
        );
      }
      assert.deepEqual(await collect(store.groups({ tenant })), [{ group: "g", payloads: 1 }]);
      await store.append({ ...key, id: "c" }, text("x"), { attributes: { user: "u1" }, expiresAt: past });
      if (finds) assert.deepEqual(await collect(store.find({ tenant, where: { user: "u1" } })), []);
      assert.equal(await store.delete(key), false);
      assert.equal(await store.deleteGroup({ tenant, group: "g" }), 1);
    });

    given("leaves no group of which every payload has expired", async ({ store }) => {
      const items = ["a", "b"].map((id) => ({ id, bytes: text(id), expiresAt: past }));
      await store.appendMany({ tenant, group: "over" }, items);
      await store.append({ tenant, group: "empty", id: "a" }, text(""), { expiresAt: past });
      await store.append({ tenant, group: "stays", id: "a" }, text("x"), { expiresAt: future });

      assert.deepEqual(await collect(store.groups({ tenant })), [{ group: "stays", payloads: 1 }]);
      assert.equal(await store.deleteGroup({ tenant, group: "over" }), 0);
    });

    given("is told of what is still there, in milliseconds", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, text("x"), { expiresAt: future.getTime() });

      assert.equal((await store.head(key))?.expiresMs, future.getTime());
      assert.equal((await store.read(key))?.expiresMs, future.getTime());
      assert.equal((await collect(store.list({ tenant, group: "g" })))[0]?.expiresMs, future.getTime());
      assert.equal(await store.has(key), true);
    });

    given("is of one payload of a batch, and not of those that share its block", async ({ store }) => {
      const items = Array.from({ length: 200 }, (_, i) => ({
        id: `${i}`,
        bytes: prose(300, i),
        expiresAt: i % 3 === 0 ? past : i % 3 === 1 ? future : undefined,
      }));
      await store.appendMany({ tenant, group: "g" }, items);

      for (const { id, bytes, expiresAt } of items) {
        const found = await store.get({ tenant, group: "g", id });
        if (expiresAt === past) assert.equal(found, undefined);
        else sameBytes(found, bytes, id);
        assert.equal(await store.has({ tenant, group: "g", id }), expiresAt !== past);
      }
      assert.equal((await collect(store.list({ tenant, group: "g" }))).length, 133);
    });

    given("goes with an overwrite: without one of its own the payload stays", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, text("over"), { expiresAt: past });
      await store.append(key, text("stays"));
      await store.append({ ...key, id: "b" }, text("stays"));
      await store.append({ ...key, id: "b" }, text("over"), { expiresAt: past });

      sameBytes(await store.get(key), text("stays"));
      assert.equal((await store.head(key))?.expiresMs, undefined);
      assert.equal(await store.has({ ...key, id: "b" }), false);
    });

    given("lets the id be created again, at the end of the group", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, text("over"), { expiresAt: past });
      await store.append({ ...key, id: "b" }, text("x"));

      await store.append(key, text("again"), { ifAbsent: true });

      sameBytes(await store.get(key), text("again"));
      await assert.rejects(store.append(key, text("twice"), { ifAbsent: true }), { code: "EXISTS" });
      assert.deepEqual(
        (await collect(store.list({ tenant, group: "g" }))).map(({ id }) => id),
        ["b", "a"],
      );
    });

    given("changes no answer to a request that is sent again, and belongs to it", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      const options = { expiresAt: past, idempotencyKey: "k" };
      const first = await store.append(key, text("x"), options);

      assert.deepEqual(await store.append(key, text("x"), options), first);
      assert.equal(await store.get(key), undefined);
      await assert.rejects(store.append(key, text("x"), { ...options, expiresAt: future }), { code: "KEY_REUSED" });
    });

    given("is refused with INVALID where it is no time, and nothing is stored", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      for (const expiresAt of [new Date(Number.NaN), Number.NaN, -1, 1.5, 1e300, "2030" as unknown as Date]) {
        await assert.rejects(store.append(key, text("x"), { expiresAt }), { code: "INVALID" });
      }
      assert.equal(await store.has(key), false);
    });
  });
}
