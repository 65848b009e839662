import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { tieredPolicy } from "../../../core/codec-policy.ts";
import { blockHeaderBytes } from "../../../core/segment/block.ts";
import { collect, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { Draws, noise, prose } from "../sample-bytes.ts";

const mebibyte = 1024 * 1024;
const tenant = "acme";

/** What goes in comes out: every size, every first byte, every codec. */
export function roundTripCases({ describe, given, scaled, supports }: PayloadStoreCases): void {
  describe("a new store", () => {
    given("holds nothing, and says so without an error", async ({ store }) => {
      assert.equal(await store.size({ tenant }), 0);
      assert.equal(await store.isEmpty({ tenant }), true);
      assert.deepEqual(await store.stats({ tenant }), {
        payloads: 0,
        uncompressedBytes: 0,
        compressedBytes: 0,
        ratio: 1,
        none: 0,
        lz4: 0,
        zstd: 0,
        exact: true,
      });
      assert.deepEqual(await collect(store.list({ tenant, group: "g" })), []);
      assert.deepEqual(await collect(store.groups({ tenant })), []);
      assert.deepEqual(store.health(), { ok: true, degraded: [] });
    });

    given("answers undefined for what was never stored", async ({ store }) => {
      await store.append({ tenant, group: "g", id: "there" }, prose(10, 1));

      for (const key of [
        { tenant, group: "g", id: "missing" },
        { tenant, group: "missing", id: "there" },
        { tenant: "other", group: "g", id: "there" },
        { tenant, id: "there" },
      ]) {
        assert.equal(await store.get(key), undefined);
        assert.equal(await store.read(key), undefined);
        assert.equal(await store.head(key), undefined);
        assert.equal(await store.has(key), false);
      }
      assert.deepEqual(await store.getMany({ tenant, group: "missing" }, ["a", "b"]), [undefined, undefined]);
    });
  });

  describe("get after append", () => {
    const edges = [0, 1, 15, 1023, 1024, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 99_999, 100_000, mebibyte];
    const large = [4 * mebibyte - 1, 4 * mebibyte, 4 * mebibyte + 1, 9 * mebibyte];

    given("gives the same bytes at the edges of tiers, blocks and payloads", async ({ store }) => {
      for (const length of [...edges, ...large.slice(-scaled(large.length))]) {
        for (const [kind, bytes] of [["noise", noise(length, length)] as const, ["prose", prose(length, 7)] as const]) {
          await store.append({ tenant, group: kind, id: `${length}` }, bytes);

          sameBytes(await store.get({ tenant, group: kind, id: `${length}` }), bytes, `${length} bytes of ${kind}`);
        }
      }
    });

    given("gives the same bytes for random sizes, in places that do not overlap", async ({ store }) => {
      const draws = new Draws(3);
      const stored = [];
      for (let i = 0; i < scaled(200); i++) {
        const length = draws.logUniform(mebibyte);
        const bytes = draws.below(2) === 0 ? noise(length, i) : prose(length, i);
        const key = { tenant, group: `g${i % 7}`, id: `${i}` };
        stored.push({ key, bytes, location: await store.append(key, bytes) });
      }

      for (const { key, bytes } of stored) sameBytes(await store.get(key), bytes, key.id);
      const places = stored
        .map(({ location }) => location)
        .filter((location) => location.stored > 0)
        .toSorted((a, b) => (a.segment === b.segment ? a.offset - b.offset : a.segment < b.segment ? -1 : 1));
      for (const [i, place] of places.entries()) {
        const next = places[i + 1];
        assert.ok([0, 1, 2].includes(place.codec));
        assert.ok(next?.segment !== place.segment || place.offset + place.stored <= next.offset, "places overlap");
      }
    });

    given("gives the same bytes whatever the first byte is, alone and in a batch", async ({ store }) => {
      const lengths = [1, 4, 18, 128];
      const starting = (first: number, length: number): Uint8Array => {
        const bytes = noise(length, first + length);
        bytes[0] = first;
        return bytes;
      };
      const step = Math.ceil(256 / scaled(256));
      const firstBytes = Array.from({ length: 256 / step }, (_, i) => i * step);
      const everyLength = Array.from({ length: 128 }, (_, i) => i + 1);
      const items = (first: number) =>
        everyLength.map((length) => ({ id: `${length}`, bytes: starting(first, length) }));

      await Promise.all(
        firstBytes.flatMap((first) => [
          store.appendMany({ tenant, group: `batch ${first}` }, items(first)),
          ...lengths.map((length) =>
            store.append({ tenant, group: `alone ${first}`, id: `${length}` }, starting(first, length)),
          ),
        ]),
      );

      for (const first of firstBytes) {
        for (const length of lengths) {
          const key = { tenant, group: `alone ${first}`, id: `${length}` };
          sameBytes(await store.get(key), starting(first, length), `${length} bytes from ${first} on`);
        }
        for await (const { id, body } of store.contents({ tenant, group: `batch ${first}` })) {
          sameBytes(body, starting(first, Number(id)), `${id} bytes from ${first} on, in a batch`);
        }
      }
    });

    given("keeps an empty payload, also as the first, the only and a middle one of a batch", async ({ store }) => {
      const empty = new Uint8Array(0);
      const full = prose(100, 1);

      await store.append({ tenant, group: "alone", id: "e" }, empty);
      await store.appendMany({ tenant, group: "only" }, [{ id: "e", bytes: empty }]);
      await store.appendMany({ tenant, group: "first" }, [
        { id: "e", bytes: empty },
        { id: "f", bytes: full },
      ]);
      await store.appendMany({ tenant, group: "middle" }, [
        { id: "f", bytes: full },
        { id: "e", bytes: empty },
        { id: "g", bytes: full },
      ]);

      for (const group of ["alone", "only", "first", "middle"]) {
        sameBytes(await store.get({ tenant, group, id: "e" }), empty, group);
        assert.equal(await store.has({ tenant, group, id: "e" }), true);
      }
      sameBytes(await store.get({ tenant, group: "first", id: "f" }), full);
      sameBytes(await store.get({ tenant, group: "middle", id: "g" }), full);
      assert.equal(await store.size({ tenant }), 7);
    });

    given("gives each caller bytes of its own", async ({ store }) => {
      const bytes = prose(3000, 5);
      for (const codec of ["none", "lz4", "zstd"] as const) {
        const key = { tenant, group: codec, id: "a" };
        const mine = bytes.slice();
        await store.append(key, mine, { codec });
        mine.fill(0);

        const [first, second] = await store.getMany({ tenant, group: codec }, ["a", "a"]);
        assert.equal(first?.constructor, Uint8Array);
        first.fill(0);

        sameBytes(second, bytes, codec);
        sameBytes(await store.get(key), bytes, codec);
      }
    });

    given("reads a range, cut to the payload", async ({ store }) => {
      const bytes = noise(5 * mebibyte, 4);
      const key = { tenant, group: "g", id: "a" };
      const location = await store.append(key, bytes);

      for (const [start, end] of [
        [0, 10],
        [10, 10],
        [4 * mebibyte - 3, 4 * mebibyte + 3],
        [5 * mebibyte - 1, 6 * mebibyte],
        [6 * mebibyte, 7 * mebibyte],
        [0, 5 * mebibyte],
      ] as const) {
        const read = await store.read(key, { range: { start, end } });
        sameBytes(read?.body, bytes.subarray(start, end), `bytes ${start}–${end}`);
        if (!supports.moves)
          sameBytes(await store.getAt({ tenant }, location, { range: { start, end } }), bytes.subarray(start, end));
        assert.equal(read?.bytes, bytes.length);
      }
    });
  });

  describe("head", () => {
    given("tells all that is known of a payload, and the etag of its bytes", async ({ store }) => {
      const bytes = prose(2000, 3);
      const key = { tenant, group: "g", id: "a" };
      const known = { contentType: "application/json; charset=utf-8", attributes: { model: "m-1", naïve: "ünï" } };

      const location = await store.append(key, bytes, known);
      const head = await store.head(key);
      const payload = await store.read(key);

      const etag = createHash("sha256").update(bytes).digest("hex").slice(0, 24);
      assert.ok(head);
      assert.deepEqual(
        { ...head, timeMs: 0 },
        {
          group: "g",
          id: "a",
          bytes: 2000,
          etag,
          ...known,
          timeMs: 0,
          expiresMs: undefined,
          location: supports.moves ? head.location : location,
        },
      );
      assert.ok(Number.isSafeInteger(head.timeMs) && head.timeMs > 0);
      const { body, ...rest } = payload ?? assert.fail("the payload is gone");
      assert.deepEqual(rest, head);
      sameBytes(body, bytes);
    });

    given("names no content type and no attributes where none were given", async ({ store }) => {
      await store.append({ tenant, group: "g", id: "a" }, prose(1, 1));

      const head = await store.head({ tenant, group: "g", id: "a" });

      assert.equal(head?.contentType, undefined);
      assert.equal(head?.attributes, undefined);
    });
  });

  describe("the codec", () => {
    given("of a lone payload is none, then LZ4 from 1,024 bytes, then zstd from 100,000", async ({ store }) => {
      for (const [length, codec] of [
        [1023, 0],
        [1024, 1],
        [99_999, 1],
        [100_000, 2],
        [9 * mebibyte, 2],
      ] as const) {
        const location = await store.append({ tenant, group: "g", id: `${length}` }, prose(length, 1));

        assert.equal(location.codec, codec, `${length} bytes`);
        if (!supports.moves)
          assert.equal((await store.head({ tenant, group: "g", id: `${length}` }))?.location.codec, codec);
      }
    });

    given(
      "follows the policy of the store",
      async ({ store }) => {
        const codecs = [];
        for (const length of [99, 100, 1999, 2000])
          codecs.push((await store.append({ tenant, group: "g", id: `${length}` }, prose(length, 1))).codec);

        assert.deepEqual(codecs, [0, 1, 1, 2]);
      },
      { codecPolicy: tieredPolicy({ lz4From: 100, zstdFrom: 2000 }) },
    );

    given("is the one asked for, unless it would grow the bytes", async ({ store }) => {
      const codes = { none: 0, lz4: 1, zstd: 2 } as const;
      for (const codec of ["none", "lz4", "zstd"] as const) {
        const gains = await store.append({ tenant, group: "gains", id: codec }, prose(900, 1), { codec });
        const grows = await store.append({ tenant, group: "grows", id: codec }, noise(900, 1), { codec });

        assert.equal(gains.codec, codes[codec]);
        assert.equal(grows.codec, 0);
        assert.equal(grows.stored, 900 + blockHeaderBytes);
        sameBytes(await store.get({ tenant, group: "gains", id: codec }), prose(900, 1));
        sameBytes(await store.get({ tenant, group: "grows", id: codec }), noise(900, 1));
      }
    });

    given("is none where nothing can be gained: the bytes are stored as they are", async ({ store }) => {
      for (const length of [10_000, 200_000]) {
        const location = await store.append({ tenant, group: "g", id: `${length}` }, noise(length, 1));

        assert.equal(location.codec, 0);
        assert.equal(location.stored, length + blockHeaderBytes);
      }
    });
  });
}
