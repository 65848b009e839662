import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { openMemory } from "../../core/entries/memory.ts";
import { PayloadStoreError } from "../../core/errors.ts";
import type { Payload } from "../../core/payload.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import { createApp } from "../../functions/app.ts";
import { serveLocal } from "../../functions/local.ts";
import { httpApiSuite } from "../support/http-api-suite.ts";

const payloadBytesMax = 256 * 1024;

httpApiSuite("createApp over memory", async () => {
  const store = openMemory({ payloadBytesMax });
  const app = createApp(store);
  return {
    origin: "http://paylode.test",
    payloadBytesMax,
    ask: async (request) => app.fetch(request),
    close: () => store.close(),
  };
});

httpApiSuite("a server over a folder", async () => {
  const directory = mkdtempSync(path.join(tmpdir(), "paylode-http-"));
  const server = await serveLocal({ directory, port: 0, payloadBytesMax });
  return {
    origin: server.url,
    payloadBytesMax,
    ask: (request) => fetch(request),
    close: async () => {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
});

describe("createApp", () => {
  const payload: Payload = {
    group: "g",
    id: "a",
    bytes: 1,
    etag: "0".repeat(24),
    timeMs: 0,
    location: { version: 0, segment: "s", offset: 0, stored: 1, codec: 0, start: 0, length: 1 },
    body: new Uint8Array([0x78]),
  };

  test.each([
    ["EXISTS", 412, null],
    ["CONFLICT", 409, null],
    ["KEY_REUSED", 409, null],
    ["GONE", 410, null],
    ["CORRUPT", 500, null],
    ["UNSUPPORTED", 501, null],
    ["UNSUPPORTED_VERSION", 500, null],
    ["UNAVAILABLE", 503, "1"],
    ["LOCKED", 503, "1"],
    ["CLOSED", 503, "1"],
    ["ABORTED", 499, null],
  ] as const)("answers %s with %i", async (code, status, retryAfter) => {
    const error = new PayloadStoreError(code, "what happened", { details: { segment: "s1", status: 7 } });
    const app = createApp(failingWith(error));

    const response = await app.request("/v1/t/stats");

    expect(response.status).toBe(status);
    expect(response.headers.get("retry-after")).toBe(retryAfter);
    expect(await response.json()).toMatchObject({ code, status, detail: "what happened", segment: "s1" });
  });

  test("tells a client nothing of an error that it does not know, and reports it", async () => {
    const reported: unknown[] = [];
    const error = new Error("secret path");
    const app = createApp(failingWith(error), { report: (unknown) => reported.push(unknown) });

    const response = await app.request("/v1/t/stats");

    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret");
    expect(reported).toEqual([error]);
  });

  test.each(["/v1/t/groups", "/v1/t/stats"])(
    "does not look at everything a tenant has where it must not: %s is 501, and says what does",
    async (path) => {
      const store = openMemory();
      await store.append({ tenant: "t", group: "g", id: "a" }, new Uint8Array(1));

      const response = await createApp(store, { scans: false }).request(path);

      expect(response.status).toBe(501);
      const problem = await response.json();
      expect(problem).toMatchObject({ code: "UNSUPPORTED", retryable: false });
      expect(problem).toHaveProperty("detail", expect.stringContaining("paylode/aws"));
    },
  );

  test("tells of every error that it answers with 500 and above, and of no other", async () => {
    const told: unknown[] = [];
    const failed = (error: unknown): void => void told.push(error);
    const known = new PayloadStoreError("CORRUPT", "crc");
    const unknown = new Error("what");

    await createApp(failingWith(known), { failed }).request("/v1/t/stats");
    await createApp(failingWith(unknown), { failed, report: () => {} }).request("/v1/t/stats");
    await createApp(failingWith(new PayloadStoreError("INVALID", "no")), { failed }).request("/v1/t/stats");

    expect(told).toEqual([known, unknown]);
  });

  test("answers 503 with the reason once the store takes no writes", async () => {
    const app = createApp({ health: () => ({ ok: false, reason: "a sync failed" }) } as unknown as PayloadStore);

    const response = await app.request("/healthz");

    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: "UNAVAILABLE", detail: "a sync failed", retryable: true });
  });

  test("an export that fails at its first payload is a problem document", async () => {
    const app = createApp(exporting([], new PayloadStoreError("CORRUPT", "crc")));

    const response = await app.request("/v1/t/groups/g/payloads?include=data");

    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ code: "CORRUPT" });
  });

  test("an export that fails later breaks off, and never ends well", async () => {
    const app = createApp(exporting([payload], new PayloadStoreError("CORRUPT", "crc")));

    const response = await app.request("/v1/t/groups/g/payloads?include=data");

    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow("crc");
  });

  test("a batch of which one group fails is 207 with what became of each line", async () => {
    const store = openMemory();
    const appendMany = store.appendMany.bind(store);
    store.appendMany = (key, items, options) =>
      key.group === "bad" ? Promise.reject(new PayloadStoreError("CORRUPT", "crc")) : appendMany(key, items, options);
    const body = ["good", "bad", "good"].map((group, i) => JSON.stringify({ group, id: `${i}`, text: "x" })).join("\n");

    const response = await createApp(store).request("/v1/t/payloads", { method: "POST", body });

    expect(response.status).toBe(207);
    expect(await response.json()).toMatchObject({
      results: [
        { line: 1, group: "good", id: "0", status: 200 },
        { line: 2, group: "bad", id: "1", status: 500, code: "CORRUPT", detail: "crc" },
        { line: 3, group: "good", id: "2", status: 200 },
      ],
    });
    expect(await store.has({ tenant: "t", group: "good", id: "2" })).toBe(true);
  });

  test("a range measured on a version that is replaced meanwhile is answered with the new one, whole", async () => {
    const store = openMemory();
    const key = { tenant: "t", group: "g", id: "a" };
    await store.append(key, new Uint8Array(100));
    const head = store.head.bind(store);
    store.head = async (...args) => {
      const old = await head(...args);
      await store.append(key, new TextEncoder().encode("new"));
      return old;
    };

    const headers = { range: "bytes=50-59" };
    const response = await createApp(store).request("/v1/t/groups/g/payloads/a", { headers });

    expect(response.status).toBe(200);
    expect(await response.text()).toBe("new");
  });

  test("refuses a body that is not as long as it was announced", async () => {
    const store = openMemory();
    const init = { method: "PUT", body: "four", headers: { "content-length": "3" } };

    const response = await createApp(store).request("/v1/t/groups/g/payloads/a", init);

    expect(response.status).toBe(400);
    expect(await store.isEmpty({ tenant: "t" })).toBe(true);
  });
});

function failingWith(error: Error): PayloadStore {
  return { stats: () => Promise.reject(error) } as unknown as PayloadStore;
}

function exporting(payloads: readonly Payload[], error: Error): PayloadStore {
  return {
    async *contents() {
      yield* payloads;
      throw error;
    },
  } as unknown as PayloadStore;
}
