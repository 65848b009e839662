import { readFileSync } from "node:fs";
import path from "node:path";
import { createContext, runInContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { openMemory } from "../../core/entries/memory.ts";
import { createApp } from "../../functions/app.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

const root = path.resolve(import.meta.dirname, "../..");

/** What browsers, edge runtimes and Node have alike, and all that the client may name. */
const webNames = [
  "AbortController",
  "ReadableStream",
  "TextDecoder",
  "TextEncoder",
  "URL",
  "URLSearchParams",
  "atob",
  "btoa",
  "clearTimeout",
  "crypto",
  "performance",
  "setTimeout",
] as const;

/** The client as a page would load it: one script that leaves `paylode` behind. */
async function bundled(): Promise<string> {
  const result = await build({
    entryPoints: [path.join(root, "core/entries/client.ts")],
    bundle: true,
    minify: true,
    platform: "browser",
    format: "iife",
    globalName: "paylode",
    // The floor of the README: Node 20, and browsers of its year.
    target: ["es2023", "node20"],
    write: false,
    logLevel: "silent",
  });
  expect(result.warnings).toEqual([]);
  return result.outputFiles[0]?.text ?? "";
}

describe("the client's bundle", () => {
  let script: string;
  beforeAll(async () => {
    script = await bundled();
  });

  test("is as small as docs/client.md says", () => {
    const document = readFileSync(path.join(root, "docs/client.md"), "utf8");
    const [, minified = 0, gzipped = 0] =
      /less\s+than\s+(\d+) KiB minified and (\d+) KiB\s+gzipped/.exec(document)?.map(Number) ?? [];

    const sizes = [Buffer.byteLength(script) / 1024, gzipSync(script, { level: 9 }).length / 1024] as const;
    // Neither grown beyond what is said, nor said far off.
    for (const [i, said] of [minified, gzipped].entries()) {
      expect(sizes[i]).toBeLessThan(said);
      expect(sizes[i]).toBeGreaterThan(0.85 * said);
    }
  });

  test("names nothing of Node", () => {
    expect(script.match(/\bnode:\w+|\brequire\(|\bprocess\.|\bBuffer\.|\bsetImmediate\b/g) ?? []).toEqual([]);
  });

  test("runs where there is nothing but the Web: every verb, both codecs, the writer", async () => {
    const store = openMemory();
    const app = createApp(store);
    const decoded = new Set<string>();
    const web = Object.fromEntries(webNames.map((name) => [name, globalThis[name]]));
    const fetch = async (url: string, init: RequestInit): Promise<Response> => {
      const response = await app.request(url, init);
      decoded.add(response.headers.get("paylode-stored-codec") ?? "none");
      return response;
    };
    await store.append({ tenant: "t", group: "g", id: "zstd" }, prose(5000, 1), { codec: "zstd" });
    await store.append({ tenant: "t", group: "g", id: "lz4" }, prose(5000, 2), { codec: "lz4" });
    const context = createContext({ ...web, fetch, noise: noise(500, 1) });

    runInContext(script, context);
    const seen = (await runInContext(
      `(async () => {
        const client = paylode.openClient({ url: "http://p.test", tenant: "t", key: "k" });
        const group = { group: "g" };
        const bytes = new Uint8Array(noise);
        await client.append({ group: "g", id: "a" }, bytes, { contentType: "image/png", attributes: { a: "ü" } });
        await client.appendMany(group, [{ id: "b", bytes: Uint8Array.of(116, 101, 120, 116) }]);
        const results = await client.appendGroups([{ group: "h", id: "a", bytes }]);
        const writer = client.writer();
        const written = writer.write({ group: "w", id: "a" }, bytes);
        await writer.close();
        const all = async (iteration) => { const items = []; for await (const item of iteration) items.push(item); return items; };
        const payload = await client.read({ group: "g", id: "a" });
        const reader = payload.body.getReader();
        const first = await reader.read();
        await reader.cancel();
        return {
          zstd: (await client.get({ group: "g", id: "zstd" })).length,
          lz4: (await client.get({ group: "g", id: "lz4" })).length,
          none: await client.get({ group: "g", id: "none" }),
          many: (await client.getMany({ group: "g" }, ["a", "none", "zstd"])).map((found) => found?.length ?? null),
          uploaded: await client.upload({ group: "g", id: "u" }, bytes).catch((error) => error.code),
          head: await client.head({ group: "g", id: "a" }),
          first: first.value.length,
          written: (await written).length,
          results: results.map(({ kind }) => kind),
          listed: (await all(client.list(group))).map(({ id }) => id),
          contents: (await all(client.contents(group))).map(({ bytes }) => bytes),
          groups: await all(client.groups()),
          deleted: [await client.delete({ group: "g", id: "b" }), await client.delete({ group: "g", id: "b" })],
          deletedGroup: await client.deleteGroup({ group: "h" }),
          stats: (await client.stats()).payloads,
          refused: await client.append({ group: "..", id: "a" }, bytes).catch((error) => error.code),
        };
      })()`,
      context,
    )) as Record<string, unknown>;

    expect(JSON.parse(JSON.stringify(seen))).toMatchObject({
      zstd: 5000,
      lz4: 5000,
      many: [500, null, 5000],
      // As a store in memory says.
      uploaded: "UNSUPPORTED",
      head: { bytes: 500, contentType: "image/png", attributes: { a: "ü" } },
      first: 500,
      written: 500,
      results: ["stored"],
      listed: ["zstd", "lz4", "a", "b"],
      contents: [5000, 5000, 500, 4],
      groups: [
        { group: "g", payloads: 4 },
        { group: "h", payloads: 1 },
        { group: "w", payloads: 1 },
      ],
      deleted: [true, false],
      deletedGroup: 1,
      stats: 4,
      refused: "INVALID",
    });
    expect(seen["none"]).toBeUndefined();
    expect([...decoded].toSorted()).toEqual(["lz4", "none", "zstd"]);
  });
});
