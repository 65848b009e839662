import { createHash } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { type Fetch, openClient } from "../../core/entries/client.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { createApp } from "../../functions/app.ts";
import { rejectsWith, sameBytes } from "../conformance/expectations.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, openHandler, startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

const key = { group: "run", id: "artifact" };
const body = noise(5 * 1024 * 1024 + 17, 1);
const sha256 = createHash("sha256").update(body).digest("hex");

/** A client of a handler; what it sends to S3 goes to the double. `sent` is every request, in order. */
async function lab(change: (fetch: Fetch) => Fetch = (fetch) => fetch) {
  const { store } = await openHandler(servers, await freshPlaceOf(servers));
  const app = createApp(store);
  const sent: { readonly url: string; readonly headers: Readonly<Record<string, string>> }[] = [];
  const through: Fetch = (url, init) => {
    sent.push({ url, headers: init.headers });
    return url.startsWith("http://paylode.test/") ? app.request(url, init) : fetch(url, init);
  };
  const client = openClient({ url: "http://paylode.test", tenant: "acme", key: "pl_secret", fetch: change(through) });
  return { client, sent, store };
}

describe("upload", () => {
  test.each([
    ["bytes", body, {}],
    ["a blob", new Blob([body as Uint8Array<ArrayBuffer>]), { sha256 }],
  ] as const)("stores %s past the server, with what is known of them", async (_what, given, named) => {
    const { client, sent, store } = await lab();
    const head = {
      contentType: "video/mp4",
      attributes: { model: "m-1" },
      expiresAt: new Date("2199-01-31T12:00:00Z"),
    };

    const location = await client.upload(key, given, { ...named, ...head });

    sameBytes(await client.get(key), body);
    sameBytes(await store.getAt({ tenant: "acme" }, location), body);
    expect(await client.head(key)).toMatchObject({
      bytes: body.length,
      contentType: "video/mp4",
      attributes: { model: "m-1" },
      expiresMs: head.expiresAt.getTime(),
    });
    // Its key is the server's affair: S3 is sent none.
    const past = sent.filter(({ url }) => !url.startsWith("http://paylode.test/"));
    expect(past).toHaveLength(1);
    expect(past[0]!.headers).not.toHaveProperty("authorization");
  });

  test.each(["before", "after"] as const)(
    "is put once when the answer to a put is lost (%s it took effect)",
    async (when) => {
      const { client, sent } = await lab();
      servers.s3.fault({ kind: "reset", when, operation: "PutObject", key: /^uploads\// });

      await client.upload(key, body);

      sameBytes(await client.get(key), body);
      expect(sent.filter(({ url }) => !url.startsWith("http://paylode.test/"))).toHaveLength(2);
    },
  );

  test("is committed once when the answer to its commit is lost", async () => {
    let lost = 0;
    const { client, store } = await lab((through) => async (url, init) => {
      const response = await through(url, init);
      if (!url.endsWith("/commit") || (lost += 1) > 1) return response;
      // Somebody overwrites it before the commit is sent again.
      await store.append({ tenant: "acme", ...key }, noise(10, 2));
      throw new TypeError("fetch failed");
    });

    await client.upload(key, body);

    expect(lost).toBe(2);
    sameBytes(await client.get(key), noise(10, 2));
  });

  test("of other bytes than were named stores nothing", async () => {
    const { client } = await lab();

    const error = await rejectsWith("INVALID", () => client.upload(key, body, { sha256: "0".repeat(64) }));

    expect(error.message).not.toContain("X-Amz-Signature");
    expect(await client.has(key)).toBe(false);
  });

  test("creates only, when it is told to", async () => {
    const { client } = await lab();
    await client.append(key, noise(10, 3));

    await rejectsWith("EXISTS", () => client.upload(key, body, { ifAbsent: true }));

    sameBytes(await client.get(key), noise(10, 3));
  });

  test("of a blob whose hash is not named, and to a server that takes none, is refused", async () => {
    const { client } = await lab();
    await rejectsWith("INVALID", () => client.upload(key, new Blob(["a"])));

    const app = createApp(openMemory());
    const other = openClient({
      url: "http://paylode.test",
      tenant: "acme",
      fetch: (url, init) => app.request(url, init),
    });
    await rejectsWith("UNSUPPORTED", () => other.upload(key, body));
  });
});
