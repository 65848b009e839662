import assert from "node:assert/strict";
import type { PayloadId } from "../../../core/key.ts";
import { collect, rejectsWith, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { text } from "../sample-bytes.ts";

const tenant = "acme";

/** Tenants, groups and ids: what may name a payload, and what names the same one. */
export function nameCases({ describe, given }: PayloadStoreCases): void {
  describe("a 128-bit id", () => {
    const ids = [0n, 1n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 128n - 1n];
    const spelled = (id: bigint): string => id.toString(16).padStart(32, "0");
    const asBytes = (id: bigint): Uint8Array => Uint8Array.from(Buffer.from(spelled(id), "hex"));

    given("names the same payload as a bigint, as 16 bytes and as 32 hex digits", async ({ store }) => {
      for (const id of ids) await store.append({ tenant, group: "g", id }, text(`payload ${id}`));

      for (const id of ids) {
        for (const spelling of [id, asBytes(id), spelled(id)] satisfies PayloadId[]) {
          sameBytes(await store.get({ tenant, group: "g", id: spelling }), text(`payload ${id}`), spelled(id));
        }
      }
      assert.equal(await store.size({ tenant }), ids.length);
      const listed = await collect(store.list({ tenant, group: "g" }));
      assert.deepEqual(
        listed.map(({ id }) => id),
        ids.map(spelled),
      );
    });

    given("names a group as well", async ({ store }) => {
      await store.append({ tenant, group: 7n, id: "a" }, text("seven"));

      sameBytes(await store.get({ tenant, group: asBytes(7n), id: "a" }), text("seven"));
      sameBytes(await store.get({ tenant, group: spelled(7n), id: "a" }), text("seven"));
    });

    given("is refused outside 0 … 2^128 − 1, and as bytes of another length", async ({ store }) => {
      for (const id of [-1n, 2n ** 128n, new Uint8Array(15), new Uint8Array(17), new Uint8Array(0)]) {
        await rejectsWith("INVALID", () => store.append({ tenant, group: "g", id }, text("x")));
      }
      assert.equal(await store.size({ tenant }), 0);
    });
  });

  describe("a name", () => {
    const names = [
      "a",
      "A",
      " ",
      "a b",
      "...",
      "a/b",
      "a%2Fb",
      "a\\b",
      "a\0b",
      "a\nb",
      "é",
      "e\u0301",
      "🛫",
      "__proto__",
      "constructor",
      "x".repeat(512),
      "é".repeat(256),
      "00000000000000000000000000000000",
    ];

    given("may be any text of 1–512 bytes, and is told apart from every other", async ({ store }) => {
      for (const name of names) {
        await store.append({ tenant, group: name, id: "a" }, text(`group ${name}`));
        await store.append({ tenant, group: "ids", id: name }, text(`id ${name}`));
      }

      for (const name of names) {
        sameBytes(await store.get({ tenant, group: name, id: "a" }), text(`group ${name}`));
        sameBytes(await store.get({ tenant, group: "ids", id: name }), text(`id ${name}`));
      }
      const listed = await collect(store.list({ tenant, group: "ids" }));
      const groups = await collect(store.groups({ tenant }));
      assert.deepEqual(
        listed.map(({ id }) => id),
        names,
      );
      assert.deepEqual(new Set(groups.map(({ group }) => group)), new Set([...names, "ids"]));
    });

    given("without a group is a group of its own", async ({ store }) => {
      await store.append({ tenant, id: "lone" }, text("x"));

      sameBytes(await store.get({ tenant, group: "lone", id: "lone" }), text("x"));
      assert.deepEqual(await collect(store.groups({ tenant })), [{ group: "lone", payloads: 1 }]);
      assert.equal(await store.delete({ tenant, id: "lone" }), true);
      assert.equal(await store.isEmpty({ tenant }), true);
    });

    given("that no face could spell is refused, and nothing is stored", async ({ store }) => {
      const refused = ["", ".", "..", "\ud800", "a\udc00", "x".repeat(513), "é".repeat(257), 5, undefined, null, {}];
      for (const name of refused as string[]) {
        const id = await rejectsWith("INVALID", () => store.append({ tenant, group: "g", id: name }, text("x")));
        assert.equal(id.details["field"], "id");
        if (name !== undefined) {
          const group = await rejectsWith("INVALID", () => store.append({ tenant, group: name, id: "a" }, text("x")));
          assert.equal(group.details["field"], "group");
        }
        await rejectsWith("INVALID", () => store.appendMany({ tenant, group: name }, [{ id: "a", bytes: text("x") }]));
        await rejectsWith("INVALID", () => store.get({ tenant, group: "g", id: name }));
        await rejectsWith("INVALID", () => store.delete({ tenant, group: "g", id: name }));
        await rejectsWith("INVALID", () => store.deleteGroup({ tenant, group: name }));
        await rejectsWith("INVALID", () => collect(store.list({ tenant, group: name })));
      }

      assert.equal(await store.size({ tenant }), 0);
    });

    given("that is too long is refused with the bound and its length", async ({ store }) => {
      const tooLong = "é".repeat(257);

      const id = await rejectsWith("INVALID", () => store.get({ tenant, group: "g", id: tooLong }));
      const group = await rejectsWith("INVALID", () => store.deleteGroup({ tenant, group: tooLong }));

      assert.match(id.message, /id must be 1–512 bytes of UTF-8; got 514/);
      assert.match(group.message, /group must be 1–512 bytes of UTF-8; got 514/);
    });
  });
}
