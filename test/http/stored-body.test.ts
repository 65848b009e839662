import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeLz4Frame } from "../../core/adapters/lz4js/lz4-frame.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";
import { createApp } from "../../functions/app.ts";
import { serveLocal } from "../../functions/local.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { alike, restingBlocksOf, smallBases } from "../support/resting-blocks.ts";

const tenant = "t";
const group = "g";
const bytes = prose(20_000, 1);
const store = openMemory();
const app = createApp(store);
const ask = (id: string, headers: Record<string, string>, method = "GET"): Promise<Response> =>
  Promise.resolve(app.request(`http://p.test/v1/t/groups/g/payloads/${id}`, { method, headers }));
const bodyOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer());
const headersOf = ({ headers }: Response, ...names: readonly string[]): (string | null)[] =>
  names.map((name) => headers.get(name));

/** All that an answer says of its form. */
const form = ["content-encoding", "paylode-stored-codec", "content-length", "etag"] as const;
const acceptStored = { "paylode-accept-stored": "zstd, lz4" };
const acceptZstd = { "accept-encoding": "gzip, zstd;q=0.9" };
let etag = "";

beforeAll(async () => {
  for (const codec of ["none", "lz4", "zstd"] as const) {
    await store.append({ tenant, group, id: codec }, bytes, {
      codec,
      contentType: "text/plain",
      attributes: { a: "ü" },
    });
  }
  await store.append({ tenant, group, id: "noise" }, noise(5000, 1), { codec: "zstd" });
  await store.append({ tenant, group, id: "empty" }, new Uint8Array(0));
  await store.append({ tenant, group, id: "long" }, prose(5_000_000, 1), { codec: "zstd" });
  await store.appendMany({ tenant, group }, [
    { id: "first of a block", bytes: prose(3000, 1), codec: "zstd" },
    { id: "second of a block", bytes: prose(3000, 2), codec: "zstd" },
  ]);
  etag = (await store.head({ tenant, group, id: "zstd" }))?.etag ?? "";
});

describe("a payload that is all of one block", () => {
  test("comes as zstd's content coding to who accepts that", async () => {
    const response = await ask("zstd", acceptZstd);

    const body = await bodyOf(response);
    expect(response.status).toBe(200);
    expect(headersOf(response, ...form)).toEqual(["zstd", null, String(body.length), `W/"${etag}"`]);
    expect(headersOf(response, "content-type", "paylode-bytes", "paylode-attributes")).toEqual([
      "text/plain",
      "20000",
      "a=%C3%BC",
    ]);
    expect(body.length).toBeLessThan(bytes.length / 2);
    expect(new Uint8Array(zstdDecompressSync(body))).toEqual(bytes);
  });

  test("comes as it is stored to who asks by our own header, which goes first", async () => {
    const zstd = await ask("zstd", { ...acceptZstd, ...acceptStored });
    const lz4 = await ask("lz4", acceptStored);

    expect(headersOf(zstd, "content-encoding", "paylode-stored-codec", "etag")).toEqual([null, "zstd", `W/"${etag}"`]);
    expect(headersOf(lz4, "content-encoding", "paylode-stored-codec", "etag")).toEqual([null, "lz4", `W/"${etag}"`]);
    expect(decodeLz4Frame(await bodyOf(lz4), bytes.length)).toEqual(bytes);
  });

  test.each([
    ["lz4", acceptZstd],
    ["lz4", { "paylode-accept-stored": "zstd" }],
    ["zstd", { "paylode-accept-stored": "lz4" }],
    ["zstd", { "accept-encoding": "gzip, br" }],
    ["zstd", { "accept-encoding": "gzip, zstd;q=0" }],
    ["zstd", { "accept-encoding": "zstd; q=0.000" }],
    ["zstd", { "accept-encoding": "*" }],
    ["zstd", {}],
  ])("comes decoded where %s is not accepted: %j", async (id, headers) => {
    const response = await ask(id, headers);

    expect(headersOf(response, ...form)).toEqual([null, null, "20000", `"${etag}"`]);
    expect(await bodyOf(response)).toEqual(bytes);
  });
});

describe("a payload that is not all of one compressed block", () => {
  test.each([
    ["none", bytes],
    ["noise", noise(5000, 1)],
    ["empty", new Uint8Array(0)],
    ["long", prose(5_000_000, 1)],
    ["first of a block", prose(3000, 1)],
    ["second of a block", prose(3000, 2)],
  ])("comes decoded: %s", async (id, wanted) => {
    for (const headers of [acceptStored, acceptZstd]) {
      const response = await ask(encodeURIComponent(id), headers);

      expect(headersOf(response, ...form)).toEqual([null, null, String(wanted.length), expect.stringMatching(/^"/)]);
      sameBytes(await bodyOf(response), wanted);
    }
  });
});

describe("beside a stored form", () => {
  test.each([acceptStored, acceptZstd])("ranges are of the payload itself: %j", async (headers) => {
    const part = await ask("zstd", { ...headers, range: "bytes=10-19" });
    expect(part.status).toBe(206);
    expect(headersOf(part, ...form, "content-range")).toEqual([null, null, "10", `"${etag}"`, "bytes 10-19/20000"]);
    expect(await bodyOf(part)).toEqual(bytes.subarray(10, 20));

    const current = await ask("zstd", { ...headers, range: "bytes=10-19", "if-range": `"${etag}"` });
    expect(current.status).toBe(206);
    // A weak etag cannot say that parts of it fit together.
    const weak = await ask("zstd", { ...headers, range: "bytes=10-19", "if-range": `W/"${etag}"` });
    expect(weak.status).toBe(200);
  });

  test.each([acceptStored, acceptZstd])(
    "a known etag is 304, weak or strong, and names no form that a GET has not: %j",
    async (headers) => {
      for (const known of [`"${etag}"`, `W/"${etag}"`]) {
        const response = await ask("zstd", { ...headers, "if-none-match": known });

        expect(response.status).toBe(304);
        expect(headersOf(response, "etag", "vary")).toEqual([`W/"${etag}"`, "Accept-Encoding, Paylode-Accept-Stored"]);
      }
    },
  );

  test.each([acceptStored, acceptZstd])(
    "HEAD tells the payload's length, and that of the answer only where it knows it: %j",
    async (headers) => {
      const may = await ask("zstd", headers, "HEAD");
      expect(headersOf(may, "content-length", "paylode-bytes", "etag")).toEqual([null, "20000", `W/"${etag}"`]);

      const cannot = await ask("none", headers, "HEAD");
      expect(headersOf(cannot, "content-length", "paylode-bytes", "etag")).toEqual(["20000", "20000", `"${etag}"`]);
    },
  );

  test("every answer about a payload says what it depends on", async () => {
    for (const headers of [{}, acceptZstd, { range: "bytes=0-1" }, { "if-none-match": "*" }]) {
      expect((await ask("zstd", headers)).headers.get("vary")).toBe("Accept-Encoding, Paylode-Accept-Stored");
    }
  });

  test("absence is 404", async () => {
    expect((await ask("nothing", acceptStored)).status).toBe(404);
  });
});

describe("a stored form over a socket", () => {
  test("is never sent of a damaged block", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "paylode-stored-"));
    const closed = await openDisk({ directory });
    const { segment, offset } = await closed.append({ tenant, group, id: "a" }, bytes, { codec: "zstd" });
    await closed.close();
    const file = path.join(directory, "segments", tenant, `${segment}.seg`);
    const damaged = readFileSync(file);
    damaged[offset + 100]! ^= 1;
    writeFileSync(file, damaged);
    expect(readdirSync(path.dirname(file))).toHaveLength(1);

    const server = await serveLocal({ directory, port: 0 });
    for (const headers of [acceptStored, acceptZstd]) {
      const response = await fetch(`${server.url}/v1/t/groups/g/payloads/a`, { headers });
      expect(await response.json()).toMatchObject({ status: 500, code: "CORRUPT" });
    }
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test("is never sent of a block that rests on a base: it comes decoded", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "paylode-stored-"));
    const server = await serveLocal({ directory, port: 0 });
    for (let i = 0; i < 20; i++) await server.store.append({ tenant, group: `g${i}`, id: "a" }, alike(i));
    await server.store.compact({ graceMs: 0, mustGo: () => true, rules: smallBases });
    const resting = await restingBlocksOf(new NodeFileSystem(), directory);
    expect(resting.length).toBeGreaterThan(5);

    let storedForms = 0;
    for (let i = 0; i < 20; i++) {
      for (const headers of [acceptStored, acceptZstd]) {
        const response = await fetch(`${server.url}/v1/t/groups/g${i}/payloads/a`, { headers });
        const isStored = response.headers.get("etag")!.startsWith("W/");
        if (isStored) storedForms += 1;
        else expect(await bodyOf(response)).toEqual(alike(i));
      }
    }
    expect(storedForms).toBeLessThanOrEqual(2 * (20 - resting.length));
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test("is as long on the wire as it is stored", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "paylode-stored-"));
    const server = await serveLocal({ directory, port: 0 });
    const { stored } = await server.store.append({ tenant, group, id: "a" }, bytes, { codec: "zstd" });

    const asked = request(`${server.url}/v1/t/groups/g/payloads/a`, { headers: acceptZstd }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    const pieces: Uint8Array[] = [];
    for await (const piece of response) pieces.push(piece as Uint8Array);

    expect(response.headers["content-encoding"]).toBe("zstd");
    expect(Buffer.concat(pieces)).toHaveLength(stored - 16);
    expect(new Uint8Array(zstdDecompressSync(Buffer.concat(pieces)))).toEqual(bytes);
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });
});

describe("attributes", () => {
  test("of a PUT come back in the same header, as the list and the store have them", async () => {
    const attributes = { model: "m-1", "a&b=c": "ü =%+\n", constructor: "x" };
    const header = new URLSearchParams(attributes).toString();
    const put = await app.request("http://p.test/v1/t/groups/attributes/payloads/a", {
      method: "PUT",
      body: "x",
      headers: { "paylode-attributes": header },
    });

    expect(put.status).toBe(200);
    expect((await store.head({ tenant, group: "attributes", id: "a" }))?.attributes).toEqual(attributes);
    const read = await app.request("http://p.test/v1/t/groups/attributes/payloads/a");
    expect(read.headers.get("paylode-attributes")).toBe(header);
  });

  test.each(["a=1&a=2", "=x", `a=${"x".repeat(5000)}`])("are refused where they are none: %s", async (header) => {
    const put = await app.request("http://p.test/v1/t/groups/attributes/payloads/b", {
      method: "PUT",
      body: "x",
      headers: { "paylode-attributes": header },
    });

    expect(await put.json()).toMatchObject({ status: 400, code: "INVALID", field: "attributes" });
  });

  test("at their most fit the headers that servers and clients take", async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "paylode-attributes-"));
    const server = await serveLocal({ directory, port: 0 });
    const attributes = Object.fromEntries(
      Array.from({ length: 32 }, (_, i) => [String.fromCharCode(1 + i), "\u0001".repeat(127)]),
    );
    const headers = { "paylode-attributes": new URLSearchParams(attributes).toString() };
    const url = `${server.url}/v1/t/groups/g/payloads/a`;

    expect((await fetch(url, { method: "PUT", body: "x", headers })).status).toBe(200);
    const read = await fetch(url);
    expect(Object.fromEntries(new URLSearchParams(read.headers.get("paylode-attributes") ?? ""))).toEqual(attributes);

    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });
});
