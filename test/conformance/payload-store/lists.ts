import assert from "node:assert/strict";
import { collect, rejectsWith, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { prose, text } from "../sample-bytes.ts";

const tenant = "acme";
const group = "g";

/** Order of first commit, and cursors that keep their place whatever happens meanwhile. */
export function listCases({ describe, given, supports }: PayloadStoreCases): void {
  describe("list", () => {
    given("is in the order of first commit; an overwrite keeps its place, a delete loses it", async ({ store }) => {
      const put = (id: string) => store.append({ tenant, group, id }, text(id));
      for (const id of ["z", "m", "a"]) await put(id);
      await store.appendMany(
        { tenant, group },
        ["k", "z", "b"].map((id) => ({ id, bytes: text(`batch ${id}`) })),
      );
      await put("m");
      await store.delete({ tenant, group, id: "a" });
      await put("a");

      const listed = await collect(store.list({ tenant, group }));

      assert.deepEqual(
        listed.map(({ id }) => id),
        ["z", "m", "k", "b", "a"],
      );
    });

    given("tells of each payload what head tells", async ({ store }) => {
      await store.append({ tenant, group, id: "a" }, prose(2000, 1), { contentType: "text/a" });
      await store.append({ tenant, group, id: "b" }, prose(10, 2), { attributes: { k: "v" } });
      await store.append({ tenant, group, id: "a" }, prose(3000, 3), { contentType: "text/b" });

      for (const { cursor, ...listed } of await collect(store.list({ tenant, group }))) {
        assert.equal(typeof cursor, "string");
        assert.deepEqual(listed, await store.head({ tenant, group, id: listed.id }));
      }
    });

    given("goes on behind every cursor, in pieces of any length", async ({ store }) => {
      const ids = Array.from({ length: 23 }, (_, i) => `${i}`);
      await store.appendMany(
        { tenant, group },
        ids.slice(0, 10).map((id) => ({ id, bytes: text(id) })),
      );
      for (const id of ids.slice(10)) await store.append({ tenant, group, id }, text(id));
      const whole = await collect(store.list({ tenant, group }));
      assert.deepEqual(
        whole.map(({ id }) => id),
        ids,
      );

      for (const limit of [1, 4, 23, 100]) {
        const found: string[] = [];
        for (let after: string | undefined; ;) {
          const piece = await collect(store.list({ tenant, group }, { after, limit }));
          if (piece.length === 0) break;
          assert.ok(piece.length <= limit);
          found.push(...piece.map(({ id }) => id));
          after = piece.at(-1)?.cursor;
        }
        assert.deepEqual(found, ids, `pieces of ${limit}`);
      }
      for (const [i, { cursor }] of whole.entries()) {
        const rest = await collect(store.list({ tenant, group }, { after: cursor }));
        assert.deepEqual(rest, whole.slice(i + 1));
      }
      assert.deepEqual(await collect(store.list({ tenant, group }, { limit: 0 })), []);
    });

    given("goes on behind a cursor whose payload was overwritten, deleted, or stored again", async ({ store }) => {
      for (const id of ["a", "b", "c", "d"]) await store.append({ tenant, group, id }, text(id));
      const [, b] = await collect(store.list({ tenant, group }));
      const behind = async () =>
        (await collect(store.list({ tenant, group }, { after: b?.cursor }))).map(({ id }) => id);

      assert.deepEqual(await behind(), ["c", "d"]);
      await store.append({ tenant, group, id: "b" }, text("overwritten"));
      assert.deepEqual(await behind(), ["c", "d"]);
      await store.append({ tenant, group, id: "c" }, text("overwritten"));
      assert.deepEqual(await behind(), ["c", "d"]);
      await store.delete({ tenant, group, id: "b" });
      assert.deepEqual(await behind(), ["c", "d"]);
      await store.append({ tenant, group, id: "b" }, text("again"));
      assert.deepEqual(await behind(), ["c", "d", "b"]);
      await store.deleteGroup({ tenant, group });
      assert.deepEqual(await behind(), []);
      await store.append({ tenant, group, id: "e" }, text("e"));
      assert.deepEqual(await behind(), ["e"]);
    });

    given("refuses a cursor that no list gave", async ({ store }) => {
      await store.append({ tenant, group, id: "a" }, text("a"));

      for (const after of ["", "x", "1-", "-1", "1-2-3", "ff.1", "1-2 ", "A-B"]) {
        await rejectsWith("INVALID", () => collect(store.list({ tenant, group }, { after })));
      }
    });

    given("shows the state when it began, whatever is written while it is read", async ({ store }) => {
      for (const id of ["a", "b", "c"]) await store.append({ tenant, group, id }, text(id));

      const seen: string[] = [];
      for await (const { id } of store.list({ tenant, group })) {
        seen.push(id);
        await store.append({ tenant, group, id: `new ${id}` }, text("new"));
        await store.delete({ tenant, group, id: "c" });
      }

      assert.deepEqual(seen, ["a", "b", "c"]);
    });
  });

  describe("contents", () => {
    given("gives every payload with its bytes, in the order of list, also in pieces", async ({ store }) => {
      const items = Array.from({ length: 40 }, (_, i) => ({ id: `${i}`, bytes: prose((i * 997) % 5000, i) }));
      await store.appendMany({ tenant, group }, items.slice(0, 30));
      for (const { id, bytes } of items.slice(30)) await store.append({ tenant, group, id }, bytes);

      const contents = await collect(store.contents({ tenant, group }));
      const [, , third] = await collect(store.list({ tenant, group }));
      const piece = await collect(store.contents({ tenant, group }, { after: third?.cursor, limit: 2 }));

      assert.equal(contents.length, 40);
      for (const [i, { id, body }] of contents.entries()) {
        assert.equal(id, items[i]?.id);
        sameBytes(body, items[i]?.bytes ?? assert.fail(), id);
      }
      assert.deepEqual(
        piece.map(({ id }) => id),
        ["3", "4"],
      );
    });
  });

  describe("groups", () => {
    given("counts the payloads of each group, in the order of first commit", async ({ store }) => {
      for (const [name, count] of [
        ["z", 3],
        ["a", 1],
        ["m", 2],
      ] as const) {
        const items = Array.from({ length: count }, (_, i) => ({ id: `${i}`, bytes: text("x") }));
        await store.appendMany({ tenant, group: name }, items);
      }
      await store.append({ tenant, group: "z", id: "0" }, text("overwritten"));
      await store.delete({ tenant, group: "m", id: "0" });
      await store.delete({ tenant, group: "a", id: "0" });

      const found = await collect(store.groups({ tenant }));
      assert.deepEqual(supports.moves ? found.toSorted((a, b) => b.payloads - a.payloads) : found, [
        { group: "z", payloads: 3 },
        { group: "m", payloads: 1 },
      ]);
      assert.deepEqual(await collect(store.groups({ tenant: "other" })), []);
    });
  });
}
