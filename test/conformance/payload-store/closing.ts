import assert from "node:assert/strict";
import { collect, rejectsWith } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { prose, text } from "../sample-bytes.ts";

const tenant = "acme";
const key = { tenant, group: "g", id: "a" };

/** The end of a store. */
export function closingCases({ describe, given, supports }: PayloadStoreCases): void {
  describe("close", () => {
    given("lets later calls be refused with CLOSED, and can be called again", async ({ store }) => {
      const location = await store.append(key, text("x"));

      await store.close();

      const group = { tenant, group: "g" };
      const calls: (() => unknown)[] = [
        () => store.append(key, text("y")),
        () => store.append(key, text("y"), { ifAbsent: true }),
        () => store.appendMany(group, [{ id: "b", bytes: text("y") }]),
        () => store.get(key),
        () => store.read(key),
        () => store.head(key),
        () => store.has(key),
        () => store.getAt({ tenant }, location),
        () => store.getMany(group, ["a"]),
        () => collect(store.list(group)),
        () => collect(store.contents(group)),
        () => collect(store.groups({ tenant })),
        () => store.delete(key),
        () => store.deleteGroup(group),
        () => store.size({ tenant }),
        () => store.isEmpty({ tenant }),
        () => store.stats({ tenant }),
        () => store.flush(),
        () => store.verify(),
      ];
      for (const call of calls) await rejectsWith("CLOSED", call);
      assert.equal(store.health().ok, false);
      await store.close();
    });

    given("waits for what was begun, which succeeds or is refused, and never hangs", async ({ store, reopen }) => {
      const ids = Array.from({ length: 50 }, (_, i) => `${i}`);
      const begun = Promise.allSettled(ids.map((id) => store.append({ ...key, id }, prose(3000, 1))));
      await Promise.resolve();

      await store.close();

      const outcomes = await begun;
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") await rejectsWith("CLOSED", () => Promise.reject(outcome.reason as Error));
      }
      if (!reopen) return;
      const again = await reopen();
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status === "fulfilled") assert.equal(await again.has({ ...key, id: `${i}` }), true);
      }
    });
  });

  describe("flush", () => {
    given("resolves on an empty store, a used one, and many times at once", async ({ store }) => {
      await store.flush();
      await store.append(key, text("x"));
      await Promise.all([store.flush(), store.append({ ...key, id: "b" }, text("y")), store.flush(), store.flush()]);

      assert.equal(await store.size({ tenant }), 2);
    });
  });

  describe("verify", () => {
    given("reads everything there is and finds no fault", async ({ store }) => {
      await store.append(key, prose(200_000, 1));
      await store.append(key, prose(5000, 2));
      await store.appendMany({ tenant: "other", group: "g" }, [
        { id: "a", bytes: prose(10, 3) },
        { id: "e", bytes: text("") },
      ]);
      await store.delete({ tenant: "other", group: "g", id: "a" });

      const report = await store.verify();

      assert.deepEqual(report.faults, []);
      if (!supports.moves) {
        assert.equal(report.frames, 4);
        assert.equal(report.payloads, 4);
      }
      assert.ok(report.bytes > 0);
    });
  });
}
