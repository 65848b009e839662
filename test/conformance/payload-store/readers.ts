import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { collect, rejectsWith, sameBytes } from "../expectations.ts";
import type { ListedPayload } from "../../../core/payload.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { prose, text } from "../sample-bytes.ts";

const tenant = "acme";
const key = { tenant, group: "g", id: "a" };

/** Somebody else, reading beside the one that writes. */
export function readerCases({ describe, given, scaled, supports }: PayloadStoreCases): void {
  describe("a reader beside the writer", () => {
    given("sees every append, overwrite and delete as soon as it is acknowledged", async (opened) => {
      const { store, openReader = () => assert.fail() } = opened;
      const readers = [await openReader(), await openReader()];

      for (let i = 0; i < Math.max(12, scaled(40)); i++) {
        const id = `${i % 10}`;
        const bytes = prose(100 + i * 50, i);
        await store.append({ tenant, group: "g", id }, bytes);
        for (const reader of readers) sameBytes(await reader.get({ tenant, group: "g", id }), bytes, `write ${i}`);
        if (i % 3 === 0) {
          await store.delete({ tenant, group: "g", id });
          for (const reader of readers) assert.equal(await reader.has({ tenant, group: "g", id }), false);
        }
        for (const reader of readers) {
          if (!supports.moves) assert.deepEqual(await reader.stats({ tenant }), await store.stats({ tenant }));
          const known = (listed: readonly ListedPayload[]) =>
            supports.moves ? listed.map((head) => ({ ...head, location: undefined })) : listed;
          assert.deepEqual(
            known(await collect(reader.list({ tenant, group: "g" }))),
            known(await collect(store.list({ tenant, group: "g" }))),
          );
        }
      }
      await store.deleteGroup({ tenant, group: "g" });
      for (const reader of readers) {
        assert.equal(await reader.isEmpty({ tenant }), true);
        assert.deepEqual(await collect(reader.groups({ tenant })), []);
      }
    });

    given("sees what was there before it came, and tenants that came after", async (opened) => {
      const { store, openReader = () => assert.fail() } = opened;
      await store.append(key, text("before"));
      await store.flush();
      await store.append({ ...key, id: "b" }, text("after the flush"));

      const reader = await openReader();
      await store.append({ ...key, tenant: "new" }, text("new tenant"));

      sameBytes(await reader.get(key), text("before"));
      sameBytes(await reader.get({ ...key, id: "b" }), text("after the flush"));
      sameBytes(await reader.get({ ...key, tenant: "new" }), text("new tenant"));
      assert.deepEqual((await reader.verify()).faults, []);
    });

    given("never disturbs the writer, and never sees a part of a batch", async (opened) => {
      const { store, openReader = () => assert.fail() } = opened;
      const reader = await openReader();
      const batch = (n: number) =>
        Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, bytes: text(`batch ${n}, item ${i}`) }));
      await store.appendMany({ tenant, group: "g" }, batch(0));

      let writing = true;
      const write = async () => {
        for (let n = 1; n <= 30; n++) await store.appendMany({ tenant, group: "g" }, batch(n));
        writing = false;
      };
      const read = async () => {
        while (writing) {
          const contents = await collect(reader.contents({ tenant, group: "g" }));
          const batches = new Set(contents.map(({ body }) => new TextDecoder().decode(body).split(",")[0]));
          assert.equal(contents.length, 20);
          assert.equal(batches.size, 1, [...batches].join(" and "));
          await setImmediate();
        }
      };
      await Promise.all([write(), read()]);
    });

    given("refuses every write", async (opened) => {
      const { store, openReader = () => assert.fail() } = opened;
      await store.append(key, text("x"));
      const reader = await openReader();

      for (const write of [
        () => reader.append(key, text("y")),
        () => reader.append(key, text("y"), { ifAbsent: true }),
        () => reader.appendMany({ tenant, group: "g" }, [{ id: "b", bytes: text("y") }]),
        () => reader.delete(key),
        () => reader.deleteGroup({ tenant, group: "g" }),
      ]) {
        await rejectsWith("INVALID", write);
      }

      sameBytes(await store.get(key), text("x"));
    });

    if (supports.reopen) {
      given("goes on when the writer ends and another takes over", async (opened) => {
        const { store, reopen = () => assert.fail(), openReader = () => assert.fail() } = opened;
        await store.append(key, text("first"));
        const reader = await openReader();
        sameBytes(await reader.get(key), text("first"));

        const next = await reopen();
        await next.append(key, text("second"));

        sameBytes(await reader.get(key), text("second"));
      });
    }
  });
}
