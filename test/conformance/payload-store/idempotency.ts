import assert from "node:assert/strict";
import { collect, rejectsWith, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { prose, text } from "../sample-bytes.ts";

const tenant = "acme";
const key = { tenant, group: "g", id: "a" };

/** Requests that are sent again because their answer was lost. */
export function idempotencyCases({ describe, given, supports }: PayloadStoreCases): void {
  describe("an append with an idempotency key", () => {
    given("that is sent again stores nothing and answers as the first time", async (opened) => {
      const { store } = opened;
      const options = { idempotencyKey: "request 1", contentType: "text/plain", attributes: { a: "1", b: "2" } };
      const first = await store.append(key, prose(2000, 1), options);
      const before = await store.verify();

      const again = await store.append(key, prose(2000, 1), { ...options, attributes: { b: "2", a: "1" } });

      assert.deepEqual(again, first);
      if (!supports.moves) assert.equal((await store.verify()).frames, before.frames);
      if (!supports.reopen || !opened.reopen) return;
      const next = await opened.reopen();
      assert.deepEqual(await next.append(key, prose(2000, 1), options), first);
      if (!supports.moves) assert.equal((await next.verify()).frames, before.frames);
    });

    given(
      "neither brings back what was overwritten or deleted since, nor says EXISTS of its own",
      async ({ store }) => {
        const options = { idempotencyKey: "request 1", ifAbsent: true };
        const first = await store.append(key, text("first"), options);
        assert.deepEqual(await store.append(key, text("first"), options), first);
        await store.append(key, text("second"));
        assert.deepEqual(await store.append(key, text("first"), options), first);
        sameBytes(await store.get(key), text("second"));
        await store.delete(key);

        assert.deepEqual(await store.append(key, text("first"), options), first);

        assert.equal(await store.has(key), false);
      },
    );

    given("refuses another request with the same key, and stores nothing of it", async ({ store }) => {
      const options = { idempotencyKey: "request 1" };
      await store.append(key, text("first"), options);

      const others = [
        () => store.append(key, text("other"), options),
        () => store.append({ ...key, id: "b" }, text("first"), options),
        () => store.append(key, text("first"), { ...options, contentType: "text/plain" }),
        () => store.append(key, text("first"), { ...options, attributes: { a: "1" } }),
        () =>
          store.appendMany(
            key,
            ["a", "b"].map((id) => ({ id, bytes: text("first") })),
            options,
          ),
      ];
      for (const other of others) await rejectsWith("KEY_REUSED", other);

      assert.equal(await store.size({ tenant }), 1);
      sameBytes(await store.get(key), text("first"));
    });

    given("is told apart by its key, its group and its tenant", async ({ store }) => {
      const options = { idempotencyKey: "request 1" };
      await store.append(key, text("1"), options);
      await store.append({ ...key, group: "h" }, text("2"), options);
      await store.append({ ...key, tenant: "other" }, text("3"), options);
      await store.append({ ...key, id: "request 1" }, text("4"), { idempotencyKey: "request 2" });

      sameBytes(await store.get(key), text("1"));
      sameBytes(await store.get({ ...key, group: "h" }), text("2"));
      sameBytes(await store.get({ ...key, tenant: "other" }), text("3"));
      sameBytes(await store.get({ ...key, id: "request 1" }), text("4"));
    });

    given("stores once when it is sent many times at once, alone and as a batch", async ({ store }) => {
      const items = ["b", "c"].map((id) => ({ id, bytes: text(id) }));
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          i % 2 === 0
            ? store.append(key, text("a"), { idempotencyKey: "alone" }).then((location) => [location])
            : store.appendMany(key, items, { idempotencyKey: "batch" }),
        ),
      );

      for (const [i, answer] of answers.entries()) assert.deepEqual(answer, answers[i % 2]);
      if (!supports.moves) assert.equal((await store.verify()).frames, 2);
      const listed = await collect(store.list(key));
      assert.deepEqual(new Set(listed.map(({ id }) => id)), new Set(["a", "b", "c"]));
    });

    given("is refused where the key is not 1–255 bytes of text", async ({ store }) => {
      for (const idempotencyKey of ["", "x".repeat(256), "é".repeat(128), "\ud800"]) {
        await rejectsWith("INVALID", () => store.append(key, text("x"), { idempotencyKey }));
        await rejectsWith("INVALID", () => store.delete(key, { idempotencyKey }));
      }

      assert.equal(await store.size({ tenant }), 0);
      await store.append(key, text("x"), { idempotencyKey: "x".repeat(255) });
    });
  });

  describe("a delete with an idempotency key", () => {
    const group = { tenant, group: "g" };

    given(
      "that is sent again hides nothing that was stored since, and says again that there was one",
      async (opened) => {
        const { store } = opened;
        const options = { idempotencyKey: "erase 1" };
        await store.append(key, text("first"));
        assert.equal(await store.delete(key, options), true);
        await store.append(key, text("second"));

        assert.equal(await store.delete(key, options), true);

        sameBytes(await store.get(key), text("second"));
        if (!supports.reopen || !opened.reopen) return;
        const next = await opened.reopen();
        assert.equal(await next.delete(key, options), true);
        sameBytes(await next.get(key), text("second"));
      },
    );

    given("of a group does so too, and counts what it hid itself", async ({ store }) => {
      const options = { idempotencyKey: "erase 1" };
      await store.append(key, text("first"));
      await store.append({ ...key, id: "b" }, text("first"));
      assert.equal(await store.deleteGroup(group, options), 2);
      await store.append(key, text("second"));

      assert.equal(await store.deleteGroup(group, options), 0);

      sameBytes(await store.get(key), text("second"));
      assert.equal(await store.size({ tenant }), 1);
    });

    given("that found nothing is not kept: it looks again", async ({ store }) => {
      const options = { idempotencyKey: "erase 1" };
      assert.equal(await store.delete(key, options), false);
      assert.equal(await store.deleteGroup(group, options), 0);
      await store.append(key, text("x"));

      assert.equal(await store.delete(key, options), true);

      assert.equal(await store.has(key), false);
    });

    given("is told apart from every other request with that key", async ({ store }) => {
      const options = { idempotencyKey: "request 1" };
      await store.append(key, text("x"), { idempotencyKey: "request 2" });
      await store.append({ ...key, id: "b" }, text("x"));
      await store.delete(key, options);

      await rejectsWith("KEY_REUSED", () => store.delete({ ...key, id: "b" }, options));
      await rejectsWith("KEY_REUSED", () => store.deleteGroup(group, options));
      await rejectsWith("KEY_REUSED", () => store.append(key, text("x"), options));
      await rejectsWith("KEY_REUSED", () => store.delete({ ...key, id: "b" }, { idempotencyKey: "request 2" }));

      assert.equal(await store.size({ tenant }), 1);
    });
  });
}
