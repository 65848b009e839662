import assert from "node:assert/strict";
import type { Location } from "../../../core/payload.ts";
import { rejectsWith, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { noise, prose } from "../sample-bytes.ts";

const tenant = "acme";

/** Reading by location: without the index, and never beyond the tenant. */
export function locationCases({ describe, given }: PayloadStoreCases): void {
  describe("getAt", () => {
    given("gives the bytes of every codec, from a location that went through JSON", async ({ store }) => {
      for (const codec of ["none", "lz4", "zstd"] as const) {
        const location = await store.append({ tenant, group: "g", id: codec }, prose(3000, 1), { codec });

        const parsed = JSON.parse(JSON.stringify(location)) as Location;

        assert.deepEqual(parsed, location);
        assert.equal(parsed.length, 3000);
        sameBytes(await store.getAt({ tenant }, parsed), prose(3000, 1), codec);
      }
    });

    given("gives each payload of a batch, also where they share a block", async ({ store }) => {
      const items = [0, 5, 70_000, 100, 0, 3, 5_000_000, 40_000, 40_000].map((length, i) => ({
        id: `${i}`,
        bytes: prose(length, i),
      }));

      const locations = await store.appendMany({ tenant, group: "g" }, items);

      for (const [i, { bytes }] of items.entries()) {
        sameBytes(await store.getAt({ tenant }, locations[i] ?? assert.fail()), bytes, `item ${i}`);
      }
    });

    given("still gives the bytes after their id was overwritten or deleted", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      const first = await store.append(key, prose(2000, 1));
      const second = await store.append(key, prose(3000, 2));
      await store.delete(key);

      sameBytes(await store.getAt({ tenant }, first), prose(2000, 1));
      sameBytes(await store.getAt({ tenant }, second), prose(3000, 2));
    });

    given("answers an error for a location that append never gave, never bytes", async ({ store }) => {
      const location = await store.append({ tenant, group: "g", id: "a" }, noise(2000, 1));
      await store.append({ tenant, group: "g", id: "b" }, noise(2000, 2));
      const { length, offset, segment, stored } = location;

      for (const value of [-1, 0.5, Number.NaN, Infinity, 2 ** 53, 2 ** 64 - 1, 2 ** 64, "0", undefined, null, 1n]) {
        for (const field of ["offset", "stored", "start", "length"]) {
          const malformed = { ...location, [field]: value } as unknown as Location;
          await rejectsWith("INVALID", () => store.getAt({ tenant }, malformed));
        }
      }
      for (const name of [
        "",
        "..",
        ".",
        "../..",
        "../other/x",
        `${segment}/../${segment}`,
        segment.toUpperCase(),
        1,
        null,
      ]) {
        await rejectsWith("INVALID", () => store.getAt({ tenant }, { ...location, segment: name as string }));
      }
      for (const malformed of [undefined, null, {}, "location", 5, [], { ...location, version: 1 }]) {
        await rejectsWith("INVALID", () => store.getAt({ tenant }, malformed as Location));
      }
      for (const wrong of [
        { offset: offset + 1 },
        { offset: offset - 1 },
        { offset: 0 },
        { offset: Number.MAX_SAFE_INTEGER },
        { offset: 2 ** 48 },
        { stored: stored - 1 },
        { stored: stored + 1 },
        { stored: 64 * 1024 * 1024 },
        { length: length + 1 },
        { start: 1 },
        { stored: 0 },
      ]) {
        await rejectsWith(["CORRUPT", "INVALID"], () => store.getAt({ tenant }, { ...location, ...wrong }));
      }
      await rejectsWith("GONE", () => store.getAt({ tenant }, { ...location, segment: "0".repeat(26) }));
    });

    given("answers GONE for another tenant's location", async ({ store }) => {
      const location = await store.append({ tenant: "other", group: "g", id: "a" }, prose(2000, 1));
      const empty = await store.append({ tenant: "other", group: "g", id: "e" }, new Uint8Array(0));
      await store.append({ tenant, group: "g", id: "a" }, prose(2000, 2));

      await rejectsWith("GONE", () => store.getAt({ tenant }, location));
      await rejectsWith("GONE", () => store.getAt({ tenant }, empty));
      await rejectsWith("GONE", () => store.getAt({ tenant: "nobody" }, location));
    });
  });
}
