import assert from "node:assert/strict";
import { limits } from "../../../core/limits.ts";
import type { PayloadInput } from "../../../core/payload.ts";
import { collect, rejectsWith, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { noise, prose, text } from "../sample-bytes.ts";

const tenant = "acme";
const group = "g";

/** Several payloads in one commit, and several in one answer. */
export function batchCases({ describe, given, supports }: PayloadStoreCases): void {
  describe("appendMany", () => {
    given("stores 1,000 payloads, with locations in their order", async ({ store }) => {
      const items = Array.from({ length: 1000 }, (_, i) => ({ id: `${999 - i}`, bytes: prose(i % 400, i) }));

      const locations = await store.appendMany({ tenant, group }, items);

      assert.equal(locations.length, 1000);
      for (const [i, { bytes }] of items.entries()) assert.equal(locations[i]?.length, bytes.length);
      const found = await store.getMany(
        { tenant, group },
        items.map(({ id }) => id),
      );
      for (const [i, { bytes, id }] of items.entries()) sameBytes(found[i], bytes, id);
      assert.deepEqual(
        (await collect(store.list({ tenant, group }))).map(({ id }) => id),
        items.map(({ id }) => id),
      );
    });

    given("stores what it was given, whatever becomes of the list meanwhile", async ({ store }) => {
      // Payloads so long are compressed elsewhere, one after the other.
      const bodies = [prose(300_000, 1), prose(300_000, 2)];
      const items = bodies.map((bytes, i) => ({ id: `${i}`, bytes }));

      const appending = store.appendMany({ tenant, group }, items);
      items.splice(0, 2, { id: "other", bytes: prose(10, 3) });
      await appending;

      const found = await store.getMany({ tenant, group }, ["0", "1"]);
      for (const [i, bytes] of bodies.entries()) sameBytes(found[i], bytes);
    });

    if (supports.syncs) {
      given(
        "waits for its medium a few times, not once for each payload",
        async ({ store, syncs = () => assert.fail() }) => {
          await store.append({ tenant, group, id: "first" }, text("x"));
          const before = syncs();

          await store.appendMany(
            { tenant, group },
            Array.from({ length: 1000 }, (_, i) => ({ id: `${i}`, bytes: prose(100, i) })),
          );

          assert.ok(syncs() - before <= 4, `${syncs() - before} syncs`);
        },
      );
    }

    given("takes fewer bytes than the same payloads alone", async ({ store }) => {
      const items = Array.from({ length: 50 }, (_, i) => ({ id: `${i}`, bytes: prose(600, i % 5) }));

      await store.appendMany({ tenant, group }, items);
      const shared = (await store.stats({ tenant })).compressedBytes;
      for (const { id, bytes } of items) await store.append({ tenant: "lone", group, id }, bytes);
      const alone = (await store.stats({ tenant: "lone" })).compressedBytes;

      if (!supports.moves) assert.ok(shared * 2 < alone, `${shared} bytes shared, ${alone} alone`);
    });

    given("keeps each payload's codec, content type and attributes", async ({ store }) => {
      const items = [
        { id: "a", bytes: prose(2000, 1), codec: "zstd", contentType: "text/a", attributes: { k: "a" } },
        { id: "b", bytes: prose(2000, 2), codec: "lz4", contentType: "text/b" },
        { id: "c", bytes: prose(2000, 3), codec: "none", attributes: { k: "c" } },
        { id: "d", bytes: prose(2000, 4), contentType: "text/a" },
      ] satisfies (PayloadInput & { id: string })[];

      const locations = await store.appendMany({ tenant, group }, items);

      assert.deepEqual(
        locations.slice(0, 3).map(({ codec }) => codec),
        [2, 1, 0],
      );
      for (const { id, bytes, ...given } of items) {
        const payload = await store.read({ tenant, group, id });
        sameBytes(payload?.body, bytes, id);
        assert.equal(payload?.contentType, "contentType" in given ? given.contentType : undefined);
        assert.deepEqual(payload?.attributes, "attributes" in given ? given.attributes : undefined);
      }
    });

    given("replaces what is taken and adds what is not, in one step", async ({ store }) => {
      await store.appendMany(
        { tenant, group },
        ["a", "b", "c"].map((id) => ({ id, bytes: text(`old ${id}`) })),
      );

      await store.appendMany(
        { tenant, group },
        ["d", "b"].map((id) => ({ id, bytes: text(`new ${id}`) })),
      );

      const contents = await collect(store.contents({ tenant, group }));
      assert.deepEqual(
        contents.map(({ id, body }) => [id, new TextDecoder().decode(body)]),
        [
          ["a", "old a"],
          ["b", "new b"],
          ["c", "old c"],
          ["d", "new d"],
        ],
      );
      assert.equal(await store.size({ tenant }), 4);
    });

    given(
      "stores nothing when one of the payloads is refused",
      async ({ store }) => {
        const good = [
          { id: "a", bytes: text("a") },
          { id: "b", bytes: text("b") },
        ];
        const tooMany = Array.from({ length: limits.commitPayloadsMax + 1 }, (_, i) => ({
          id: `${i}`,
          bytes: text(""),
        }));
        const refused: [string, readonly object[]][] = [
          ["TOO_LARGE", [...good, { id: "c", bytes: noise(101, 1) }]],
          ["INVALID", [...good, { id: "a", bytes: text("again") }]],
          ["INVALID", [...good, { id: "", bytes: text("c") }]],
          ["INVALID", [...good, { id: "c", bytes: "text" }]],
          ["INVALID", [...good, { id: "c", bytes: text("c"), contentType: "é" }]],
          ["INVALID", [...good, { id: "c", bytes: text("c"), attributes: { "": "x" } }]],
          ["INVALID", [...good, { id: "c", bytes: text("c"), codec: "gzip" }]],
          [
            "INVALID",
            [...good, { id: 5n, bytes: text("c") }, { id: "00000000000000000000000000000005", bytes: text("c") }],
          ],
          ["INVALID", []],
          ["INVALID", tooMany],
        ];

        for (const [code, items] of refused) {
          const call = () => store.appendMany({ tenant, group }, items as (PayloadInput & { id: string })[]);
          await rejectsWith(code as "INVALID", call);
        }

        assert.equal(await store.size({ tenant }), 0);
        assert.deepEqual(await collect(store.list({ tenant, group })), []);
        assert.equal(await store.get({ tenant, group, id: "a" }), undefined);
        await store.appendMany({ tenant, group }, good);
        assert.equal(await store.size({ tenant }), 2);
      },
      { payloadBytesMax: 100 },
    );
  });

  describe("getMany", () => {
    given(
      "answers in the order asked, undefined for what is absent, twice for what is asked twice",
      async ({ store }) => {
        await store.appendMany(
          { tenant, group },
          ["a", "b", "c"].map((id) => ({ id, bytes: text(id) })),
        );
        await store.delete({ tenant, group, id: "b" });

        const found = await store.getMany({ tenant, group }, ["c", "b", "missing", "a", "c"]);

        assert.deepEqual(
          found.map((bytes) => bytes && new TextDecoder().decode(bytes)),
          ["c", undefined, undefined, "a", "c"],
        );
        assert.deepEqual(await store.getMany({ tenant, group }, []), []);
      },
    );
  });
}
