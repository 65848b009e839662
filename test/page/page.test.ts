import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPayloadStoreError } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import { findInPage } from "../../core/page/find-in-page.ts";
import { PageDirectory } from "../../core/page/page-directory.ts";
import {
  decodePage,
  decodePlacedPage,
  encodePage,
  type Page,
  type PageBlock,
  type PageEntry,
} from "../../core/page/page.ts";
import { holds } from "../support/property.ts";

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const codec = fc.constantFrom(0 as const, 1 as const, 2 as const);

/** Payloads as a commit lays them out: some share a block, some have one, some have several. */
const layout = fc.array(
  fc.oneof(
    fc.record({ shared: fc.array(fc.nat(3000), { minLength: 1, maxLength: 6 }), codec, bodyBytes: fc.nat(9000) }),
    fc.record({ slices: fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 2, maxLength: 4 }), codec }),
  ),
  { maxLength: 6 },
);

const page: fc.Arbitrary<Page> = fc
  .record({
    layout,
    names: fc.uniqueArray(text, { minLength: 40, maxLength: 40 }),
    commitId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    clearsGroup: fc.boolean(),
    deleted: fc.array(text, { maxLength: 5 }),
    contentTypes: fc.array(fc.option(fc.constantFrom("text/plain", "application/json"), { nil: undefined }), {
      minLength: 40,
      maxLength: 40,
    }),
    attributes: fc.array(fc.option(fc.dictionary(text, text, { maxKeys: 3 }), { nil: undefined }), {
      minLength: 40,
      maxLength: 40,
    }),
    etag: fc.stringMatching(/^[0-9a-f]{24}$/),
    request: fc.option(fc.record({ key: text, bodyHash: fc.uint8Array({ minLength: 16, maxLength: 16 }) }), {
      nil: undefined,
    }),
  })
  .map(({ layout: parts, names, contentTypes, attributes, etag, ...rest }) => {
    const blocks: PageBlock[] = [];
    const lengths: number[] = [];
    for (const part of parts) {
      if ("shared" in part) {
        const rawBytes = part.shared.reduce((sum, length) => sum + length, 0);
        if (rawBytes > 0) blocks.push({ codec: part.codec, rawBytes, bodyBytes: part.bodyBytes });
        lengths.push(...part.shared);
      } else {
        for (const rawBytes of part.slices) blocks.push({ codec: part.codec, rawBytes, bodyBytes: rawBytes });
        lengths.push(part.slices.reduce((sum, length) => sum + length, 0));
      }
    }
    const entries = lengths.map((bytes, i): PageEntry => ({
      id: names[i] ?? `${i}`,
      bytes,
      etag,
      contentType: contentTypes[i],
      attributes: attributes[i],
    }));
    return { ...rest, blocks, entries };
  });

describe("a page", () => {
  test("is decoded as it was encoded", async () => {
    await holds(
      import.meta.filename,
      fc.property(page, (before) => {
        expect(decodePage(encodePage(before))).toMatchObject({ ok: true, value: before });
      }),
      { runs: 300 },
    );
  });

  test("answers about each id as it does when it is decoded whole", async () => {
    await holds(
      import.meta.filename,
      fc.property(page, text, (before, stranger) => {
        const bytes = encodePage(before);
        const placed = decodePlacedPage(bytes);
        if (!placed.ok) throw new Error(placed.damage);

        const directory = PageDirectory.of(bytes);
        for (const place of placed.value.places) {
          const answer = { ok: true, value: { kind: "payload", place } };
          expect(findInPage(bytes, place.entry.id)).toEqual(answer);
          expect(directory?.find(bytes, place.entry.id)).toEqual(answer);
        }
        for (const id of [...before.deleted, stranger]) {
          if (before.entries.some((entry) => entry.id === id)) continue;
          const kind = before.clearsGroup || before.deleted.includes(id) ? "hidden" : "silent";
          expect(findInPage(bytes, id)).toEqual({ ok: true, value: { kind } });
          expect(directory?.find(bytes, id)).toEqual({ ok: true, value: { kind } });
        }
      }),
      { runs: 200 },
    );
  });

  test("places its payloads one after the other, and shares its blocks out among them", async () => {
    await holds(
      import.meta.filename,
      fc.property(page, (before) => {
        const placed = decodePlacedPage(encodePage(before));
        if (!placed.ok) throw new Error(placed.damage);

        const stored = before.blocks.reduce((sum, { bodyBytes }) => sum + 16 + bodyBytes, 0);
        const shares = placed.value.places.reduce((sum, { storedShare }) => sum + storedShare, 0);
        let end = 0;
        for (const { offset, storedBytes, entry } of placed.value.places.filter(({ entry: { bytes } }) => bytes > 0)) {
          expect(offset + storedBytes).toBeGreaterThanOrEqual(end);
          expect(offset + storedBytes).toBeLessThanOrEqual(stored);
          expect(entry.bytes).toBeGreaterThan(0);
          end = offset;
        }
        expect(shares).toBeGreaterThanOrEqual(stored);
        expect(shares).toBeLessThan(stored + before.entries.length + 1);
      }),
      { runs: 200 },
    );
  });

  test("that is damaged or foreign is said to be, and never more", async () => {
    await holds(
      import.meta.filename,
      fc.property(page, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(), (before, flips, cut) => {
        const bytes = encodePage(before).slice();
        for (const [at, value] of flips) bytes[at % bytes.length] = value;
        const damaged = cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes;

        const decoded = decodePlacedPage(damaged);
        if (decoded.ok) expectWithinLimits(decoded.value.page);
        const directory = PageDirectory.of(damaged);
        for (const id of ["a", ...before.entries.map((entry) => entry.id)]) {
          const found = findInPage(damaged, id);
          if (directory) expect(directory.find(damaged, id)).toEqual(found);
        }
      }),
      { runs: 500 },
    );
  });

  test("made of random bytes is refused without a throw", async () => {
    await holds(
      import.meta.filename,
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (random, begins) => {
        const bytes = begins ? Uint8Array.of(0, 0, ...random) : random;
        const decoded = decodePlacedPage(bytes);
        if (decoded.ok) expectWithinLimits(decoded.value.page);
        const found = findInPage(bytes, "a");
        const directory = PageDirectory.of(bytes);
        if (directory) expect(directory.find(bytes, "a")).toEqual(found);
      }),
      { runs: 2000 },
    );
  });

  test("is cut nowhere without being noticed", () => {
    const bytes = encodePage(sample());

    for (let length = 0; length < bytes.length; length++) {
      expect(decodePage(bytes.subarray(0, length)).ok, `${length} of ${bytes.length} bytes`).toBe(false);
    }
    expect(decodePage(Uint8Array.of(...bytes, 0)).ok).toBe(false);
  });

  test("of another version, with unknown flags, or whose blocks and payloads differ in length is refused", () => {
    const bytes = encodePage(sample());
    const changed = (at: number, value: number) => bytes.with(at, value);

    expect(decodePage(changed(0, 1)).ok).toBe(false);
    expect(decodePage(changed(1, 4)).ok).toBe(false);
    const [block] = sample().blocks;
    const longer = { ...sample(), blocks: [{ ...block!, rawBytes: block!.rawBytes + 1 }] };
    expect(decodePage(encodePage(longer)).ok).toBe(false);
  });

  test("that would be too long is refused before it is written", () => {
    const entries = Array.from({ length: 10_000 }, (_, i): PageEntry => {
      const attributes = Object.fromEntries([["a", "x".repeat(2000)]]);
      return { id: `${i}`, bytes: 0, etag: "0".repeat(24), attributes };
    });

    const encode = () => encodePage({ ...sample(), blocks: [], entries });

    expect(encode).toThrow(expect.toSatisfy((error) => isPayloadStoreError(error, "TOO_LARGE")));
  });

  test("finds its payloads when they are many", () => {
    const entries = Array.from({ length: limits.commitPayloadsMax }, (_, i): PageEntry => {
      return { id: `${i}`, bytes: 3, etag: "0".repeat(24) };
    });
    const bytes = encodePage({ ...sample(), blocks: [{ codec: 2, rawBytes: 30_000, bodyBytes: 99 }], entries });

    const found = findInPage(bytes, "9999");

    expect(found).toMatchObject({ ok: true, value: { kind: "payload", place: { start: 29_997, storedBytes: 115 } } });
    expect(PageDirectory.of(bytes)?.find(bytes, "9999")).toEqual(found);
  });
});

function sample(): Page {
  return {
    commitId: new Uint8Array(16).fill(5),
    clearsGroup: false,
    deleted: ["gone"],
    blocks: [{ codec: 1, rawBytes: 30, bodyBytes: 20 }],
    entries: [
      { id: "a", bytes: 10, etag: "0".repeat(24), contentType: "text/plain", attributes: { k: "v" } },
      { id: "b", bytes: 20, etag: "f".repeat(24) },
    ],
  };
}

function expectWithinLimits({ blocks, entries, deleted }: Page): void {
  expect(blocks.every(({ rawBytes }) => rawBytes <= limits.blockRawBytesMax)).toBe(true);
  expect(entries.length).toBeLessThanOrEqual(limits.commitPayloadsMax);
  expect(deleted.length).toBeLessThanOrEqual(limits.commitPayloadsMax);
}
