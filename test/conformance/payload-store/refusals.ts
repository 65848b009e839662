import assert from "node:assert/strict";
import { errorCodes } from "../../../core/errors.ts";
import { limits } from "../../../core/limits.ts";
import type { AppendOptions } from "../../../core/payload.ts";
import type { CodecPolicy } from "../../../core/codec-policy.ts";
import { collect, rejectsWith, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { noise, prose, text } from "../sample-bytes.ts";

const tenant = "acme";
const key = { tenant, group: "g", id: "a" };

/** What is refused is refused with a code, and changes nothing. */
export function refusalCases({ describe, given }: PayloadStoreCases): void {
  describe("a payload that is too large", () => {
    given(
      "is refused with TOO_LARGE, and nothing of it is stored",
      async ({ store }) => {
        await store.append(key, noise(1000, 1));

        const error = await rejectsWith("TOO_LARGE", () => store.append(key, noise(1001, 2)));
        await rejectsWith("TOO_LARGE", () => store.append({ ...key, id: "b" }, noise(5000, 2)));

        assert.equal(error.retryable, errorCodes.TOO_LARGE.retryable);
        assert.equal(store.payloadBytesMax, 1000);
        sameBytes(await store.get(key), noise(1000, 1));
        assert.equal(await store.size({ tenant }), 1);
      },
      { payloadBytesMax: 1000 },
    );

    given("is measured against 64 MiB unless the store says otherwise", async ({ store }) => {
      const longest = new Uint8Array(limits.payloadBytesMax);
      longest[longest.length - 1] = 7;

      await store.append(key, longest);
      await rejectsWith("TOO_LARGE", () => store.append(key, new Uint8Array(limits.payloadBytesMax + 1)));

      const read = await store.read(key, { range: { start: longest.length - 2, end: longest.length } });
      sameBytes(read?.body, Uint8Array.of(0, 7));
      assert.equal(read?.bytes, limits.payloadBytesMax);
    });
  });

  describe("an input that is malformed", () => {
    given("is refused with INVALID, and nothing is stored", async ({ store }) => {
      for (const bytes of [undefined, null, "text", [1, 2], new ArrayBuffer(4), 5]) {
        await rejectsWith("INVALID", () => store.append(key, bytes as unknown as Uint8Array));
      }
      const many = Object.fromEntries(Array.from({ length: limits.attributesCountMax + 1 }, (_, i) => [`${i}`, ""]));
      for (const options of [
        { contentType: "" },
        { contentType: "text/\u00e9" },
        { contentType: "text/a\n" },
        { contentType: "x".repeat(limits.contentTypeBytesMax + 1) },
        { attributes: many },
        { attributes: { a: "x".repeat(limits.attributesBytesMax) } },
        { attributes: { a: 5 } },
        { attributes: { "": "x" } },
        { attributes: { a: "\ud800" } },
        { codec: "gzip" },
        { codec: 1 },
      ]) {
        await rejectsWith("INVALID", () => store.append(key, text("x"), options as unknown as AppendOptions));
      }

      assert.equal(await store.size({ tenant }), 0);
      await store.append(key, text("x"), {
        contentType: "x".repeat(limits.contentTypeBytesMax),
        attributes: { a: "x".repeat(limits.attributesBytesMax - 1) },
      });
      assert.equal((await store.head(key))?.attributes?.["a"]?.length, limits.attributesBytesMax - 1);
    });
  });

  describe("an AbortSignal that has fired", () => {
    given("rejects every call with ABORTED, and nothing is changed", async ({ store }) => {
      await store.append(key, text("x"));
      const location = (await store.head(key))?.location ?? assert.fail();
      const reason = new Error("enough");
      const options = { signal: AbortSignal.abort(reason) };
      const group = { tenant, group: "g" };

      const calls: (() => unknown)[] = [
        () => store.append({ ...key, id: "b" }, text("y"), options),
        () => store.append({ ...key, id: "b" }, text("y"), { ...options, ifAbsent: true }),
        () => store.appendMany(group, [{ id: "b", bytes: text("y") }], options),
        () => store.get(key, options),
        () => store.read(key, options),
        () => store.head(key, options),
        () => store.has(key, options),
        () => store.getAt({ tenant }, location, options),
        () => store.getMany(group, ["a"], options),
        () => collect(store.list(group, options)),
        () => collect(store.contents(group, options)),
        () => collect(store.groups({ tenant }, options)),
        () => store.delete(key, options),
        () => store.deleteGroup(group, options),
      ];
      for (const call of calls) assert.equal((await rejectsWith("ABORTED", call)).cause, reason);

      assert.equal(await store.size({ tenant }), 1);
      sameBytes(await store.get(key), text("x"));
    });

    given("while a list is read ends it", async ({ store }) => {
      for (const id of ["a", "b", "c"]) await store.append({ ...key, id }, text(id));
      const abort = new AbortController();

      const seen: string[] = [];
      const error = await rejectsWith("ABORTED", async () => {
        for await (const { id } of store.list({ tenant, group: "g" }, { signal: abort.signal })) {
          seen.push(id);
          abort.abort();
        }
      });

      assert.deepEqual(seen, ["a"]);
      assert.equal(error.code, "ABORTED");
    });

    given(
      "while a payload is compressed keeps it from being stored",
      async ({ store }) => {
        const options = { signal: firing.signal };

        await rejectsWith("ABORTED", () => store.append(key, prose(5000, 1), options));

        assert.equal(await store.has(key), false);
      },
      { codecPolicy: firesWhenAsked() },
    );
  });
}

const firing = new AbortController();

function firesWhenAsked(): CodecPolicy {
  return () => {
    firing.abort();
    return "lz4";
  };
}
