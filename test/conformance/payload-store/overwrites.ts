import assert from "node:assert/strict";
import { collect, rejectsWith, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { prose, text } from "../sample-bytes.ts";

const tenant = "acme";

/** One id, many appends. */
export function overwriteCases({ describe, given }: PayloadStoreCases): void {
  describe("append to an id that is taken", () => {
    given("replaces its payload, its content type and its attributes", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, prose(5000, 1), { contentType: "text/plain", attributes: { n: "1" } });

      await store.append(key, prose(10, 2));

      const payload = await store.read(key);
      sameBytes(payload?.body, prose(10, 2));
      assert.equal(payload?.contentType, undefined);
      assert.equal(payload?.attributes, undefined);
      assert.equal(await store.size({ tenant }), 1);
    });

    given("counts the id once, however often it is replaced", async ({ store }) => {
      for (let i = 0; i < 20; i++) await store.append({ tenant, group: "g", id: "a" }, text(`${i}`));

      sameBytes(await store.get({ tenant, group: "g", id: "a" }), text("19"));
      assert.equal(await store.size({ tenant }), 1);
      assert.deepEqual(await collect(store.groups({ tenant })), [{ group: "g", payloads: 1 }]);
    });

    given("has one winner when many write at once, the same in every answer", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      const written = Array.from({ length: 50 }, (_, i) => text(`writer ${i}`));

      await Promise.all(written.map((bytes) => store.append(key, bytes)));

      const winner = (await store.get(key)) ?? assert.fail("no writer won");
      // Calls of one process are taken in their order, so the last one wins.
      sameBytes(winner, written[49] ?? assert.fail());
      const contents = await collect(store.contents({ tenant, group: "g" }));
      assert.equal(contents.length, 1);
      sameBytes(contents[0]?.body, winner);
      assert.equal(await store.size({ tenant }), 1);
    });
  });

  describe("append with ifAbsent", () => {
    given("refuses an id that is taken with EXISTS, and leaves it as it is", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, text("first"), { ifAbsent: true });

      const error = await rejectsWith("EXISTS", () => store.append(key, text("second"), { ifAbsent: true }));

      assert.equal(error.retryable, false);
      sameBytes(await store.get(key), text("first"));
      assert.equal((await store.stats({ tenant })).uncompressedBytes, 5);
    });

    given("takes an id whose payload was deleted", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, text("first"));
      await store.delete(key);

      await store.append(key, text("second"), { ifAbsent: true });

      sameBytes(await store.get(key), text("second"));
    });

    given("lets exactly one of 50 creators win", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      const creators = Array.from({ length: 50 }, (_, i) => text(`creator ${i}`));

      const outcomes = await Promise.allSettled(creators.map((bytes) => store.append(key, bytes, { ifAbsent: true })));

      const winners = outcomes.flatMap((outcome, i) => (outcome.status === "fulfilled" ? [i] : []));
      assert.equal(winners.length, 1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") await rejectsWith("EXISTS", () => Promise.reject(outcome.reason as Error));
      }
      sameBytes(await store.get(key), creators[winners[0] ?? -1] ?? assert.fail());
    });
  });
}
