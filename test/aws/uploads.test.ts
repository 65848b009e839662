import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { type AwsStore, openAws } from "../../core/entries/aws.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { limits } from "../../core/limits.ts";
import { createApp } from "../../functions/app.ts";
import { type AwsPlace, freshPlace, openAt } from "../support/aws/aws-under-test.ts";
import { startDynalite } from "../support/aws/dynamo-server.ts";
import { startS3Double } from "../support/aws/s3-double.ts";
import { rejectsWith, sameBytes } from "../conformance/expectations.ts";
import { noise } from "../conformance/sample-bytes.ts";

const s3 = await startS3Double();
const dynamo = await startDynalite();
const servers = { s3, dynamo, clients: { s3: s3.client(), dynamo: dynamo.client() } };
afterAll(async () => {
  await s3.close();
  await dynamo.close();
});

const key = { tenant: "acme", group: "run", id: "artifact" };
const body = noise(9 * 1024 * 1024 + 321, 1);

function shapeOf(bytes: Uint8Array) {
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

async function put(store: AwsStore, bytes: Uint8Array, shape = shapeOf(bytes)) {
  const { upload, url, method, headers } = await store.beginUpload(key, shape);
  const response = await fetch(url, { method, headers, body: bytes as Uint8Array<ArrayBuffer> });
  return { upload, url, method, headers, status: response.status };
}

async function opened(): Promise<{ store: AwsStore; place: AwsPlace }> {
  const place = await freshPlace(servers);
  return { store: await openAt(servers, place), place };
}

describe("an upload", () => {
  test("becomes a payload when it is committed, and is read whole, in parts and as a stream", async () => {
    const { store, place } = await opened();
    const { upload, status } = await put(store, body);
    expect(status).toBe(200);
    expect(await store.has(key)).toBe(false);

    const attributes = { model: "m" };
    const location = await store.commitUpload(key, { upload, ...shapeOf(body), contentType: "image/png", attributes });

    sameBytes(await store.get(key), body, "whole");
    const head = await store.head(key);
    expect(head).toMatchObject({ bytes: body.length, contentType: "image/png", attributes });
    expect(head?.etag).toBe(shapeOf(body).sha256.slice(0, 24));
    const other = await openAt(servers, place);
    for (const [start, end] of [
      [0, 10],
      [limits.blockRawBytesMax - 5, limits.blockRawBytesMax + 5],
      [body.length - 3, body.length + 3],
      [5, 5],
    ] as const) {
      sameBytes((await other.read(key, { range: { start, end } }))?.body, body.slice(start, end), `${start}–${end}`);
    }
    sameBytes(await other.getAt(key, location), body, "by location");
    const streamed = await other.stream(key);
    const pieces: Uint8Array[] = [];
    for await (const piece of streamed!.body) pieces.push(piece);
    expect(pieces.length).toBe(3);
    sameBytes(Buffer.concat(pieces), body, "streamed");
    expect((await store.verify()).faults).toEqual([]);
    await store.delete(key);
    expect(await other.get(key)).toBeUndefined();
    await rejectsWith("GONE", () => store.getAt(key, { ...location, page: { group: "run", sequence: 7 } }));
  });

  test("takes the bytes that it was begun for alone, and once", async () => {
    const { store } = await opened();
    const begun = await put(store, body);
    const again = await fetch(begun.url, { method: "PUT", headers: begun.headers, body });
    expect(again.status).toBe(412);

    const { url, method, headers, upload } = await store.beginUpload(key, shapeOf(body));
    const changed = noise(body.length, 2);
    const refused = await fetch(url, { method, headers, body: changed as Uint8Array<ArrayBuffer> });
    expect(refused.status).toBe(400);
    const { "if-none-match": _, ...fewer } = headers;
    expect((await fetch(url, { method, headers: fewer, body })).status).toBe(403);
    await rejectsWith("NOT_FOUND", () => store.commitUpload(key, { upload, ...shapeOf(body) }));
  });

  test("is refused when it is not what the commit says, too long, too old, or another tenant's", async () => {
    const { store, place } = await opened();
    const { upload } = await put(store, body);
    await rejectsWith("CONFLICT", () => store.commitUpload(key, { upload, ...shapeOf(noise(body.length, 2)) }));
    await rejectsWith("CONFLICT", () => store.commitUpload(key, { upload, ...shapeOf(noise(10, 2)) }));
    await rejectsWith("NOT_FOUND", () => store.commitUpload({ ...key, tenant: "other" }, { upload, ...shapeOf(body) }));
    await rejectsWith("INVALID", () => store.commitUpload(key, { upload: "../x", ...shapeOf(body) }));
    await rejectsWith("TOO_LARGE", () => store.beginUpload(key, { bytes: 5 * 2 ** 30 + 1, sha256: "a".repeat(64) }));
    await rejectsWith("INVALID", () => store.beginUpload(key, { bytes: 0, sha256: "a".repeat(64) }));
    await rejectsWith("INVALID", () => store.beginUpload(key, { bytes: 1, sha256: "a" }));

    const later = { nowMs: () => Date.now() + limits.uploadCommitMsMax + 1 };
    const tomorrow = await openAws({ ...place, clients: servers.clients }, { clock: later });
    await rejectsWith("GONE", () => tomorrow.commitUpload(key, { upload, ...shapeOf(body) }));
    expect(await store.has(key)).toBe(false);
  });

  test("keeps to put-if-absent and idempotency keys", async () => {
    const { store } = await opened();
    const { upload } = await put(store, body);
    const shape = { upload, ...shapeOf(body) };
    const first = await store.commitUpload(key, shape, { ifAbsent: true, idempotencyKey: "k" });
    expect(await store.commitUpload(key, shape, { ifAbsent: true, idempotencyKey: "k" })).toEqual(first);
    await rejectsWith("EXISTS", () => store.commitUpload(key, shape, { ifAbsent: true }));
  });

  test("that was changed in the bucket is CORRUPT where it was changed, and nowhere else", async () => {
    const { store, place } = await opened();
    const { upload } = await put(store, body);
    await store.commitUpload(key, { upload, ...shapeOf(body) });
    const changed = body.slice();
    changed[5 * 1024 * 1024] = changed[5 * 1024 * 1024]! ^ 1;
    const { PutObjectCommand } = await import("@aws-sdk/client-s3");
    const Key = `uploads/acme/${upload}`;
    await servers.clients.s3.send(new PutObjectCommand({ Bucket: place.bucket, Key, Body: changed }));

    await rejectsWith("CORRUPT", () => store.get(key));
    sameBytes((await store.read(key, { range: { start: 0, end: 100 } }))?.body, body.slice(0, 100), "the first block");
    expect((await store.verify()).faults).toMatchObject([{ kind: "damaged", tenant: "acme" }]);
  });

  test("is begun, put, committed and read over HTTP", async () => {
    const { store } = await opened();
    const app = createApp(store);
    const at = "http://paylode/v1/acme/groups/a%2Fb/payloads/artifact";
    const ask = (path: string, shape: object) =>
      app.request(at + path, { method: "POST", body: JSON.stringify(shape) });
    const begun = await ask("/upload", shapeOf(body));
    expect(begun.status).toBe(200);
    const { upload, url, method, headers, expires } = (await begun.json()) as Record<string, string> & {
      headers: Record<string, string>;
    };
    expect(Date.parse(expires!)).toBeGreaterThan(Date.now() + 3_000_000);
    expect((await ask("/commit", { upload, ...shapeOf(body) })).status).toBe(404);
    expect((await fetch(url!, { method: method!, headers, body })).status).toBe(200);
    const committed = await ask("/commit", { upload, ...shapeOf(body), contentType: "image/png" });
    expect(committed.status).toBe(200);
    expect(await committed.json()).toMatchObject({ id: "artifact", group: "a/b", bytes: body.length });

    const whole = await app.request(at);
    expect(whole.headers.get("content-type")).toBe("image/png");
    sameBytes(new Uint8Array(await whole.arrayBuffer()), body, "whole");
    const part = await app.request(at, { headers: { range: "bytes=4194300-4194309" } });
    expect(part.status).toBe(206);
    sameBytes(new Uint8Array(await part.arrayBuffer()), body.slice(4_194_300, 4_194_310), "part");

    for (const [path, shape, status] of [
      ["/upload", { bytes: 5 * 2 ** 30 + 1, sha256: "a".repeat(64) }, 413],
      ["/upload", { bytes: "9", sha256: "a".repeat(64) }, 400],
      ["/upload", { bytes: 9, sha256: "a".repeat(64), other: 1 }, 400],
      ["/commit", { upload, ...shapeOf(noise(9, 9)) }, 409],
      ["/commit", { ...shapeOf(body) }, 400],
    ] as const) {
      const refused = await ask(path, shape);
      expect(refused.status, JSON.stringify(shape)).toBe(status);
      expect(refused.headers.get("content-type")).toContain("problem+json");
    }
    const local = createApp(openMemory());
    const none = await local.request(`${at}/upload`, { method: "POST", body: JSON.stringify(shapeOf(body)) });
    expect(none.status).toBe(501);
    expect(await none.json()).toMatchObject({ code: "UNSUPPORTED" });
  });

  test("comes along when the bucket is copied to a folder", async () => {
    const { store, place } = await opened();
    const { upload } = await put(store, body);
    await store.commitUpload(key, { upload, ...shapeOf(body) });
    const directory = await mkdtemp(path.join(tmpdir(), "paylode-"));
    try {
      const { Contents } = await servers.clients.s3.send(new ListObjectsV2Command({ Bucket: place.bucket }));
      for (const { Key } of Contents ?? []) {
        const { Body } = await servers.clients.s3.send(new GetObjectCommand({ Bucket: place.bucket, Key }));
        const file = path.join(directory, Key!);
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, await Body!.transformToByteArray());
      }
      const local = await openDisk({ directory, rebuild: true });
      sameBytes(await local.get(key), body, "from the folder");
      expect((await local.verify()).faults).toEqual([]);
      await local.close();
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
