import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { GetObjectCommand, paginateListObjectsV2, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { type AwsStore, openAws } from "../../../core/entries/aws.ts";
import { NodeFileSystem } from "../../../core/adapters/disk/node-file-system.ts";
import { openDisk } from "../../../core/entries/disk.ts";
import type { PayloadStore } from "../../../core/payload-store.ts";
import { collect, sameBytes } from "../../conformance/expectations.ts";
import { noise, prose } from "../../conformance/sample-bytes.ts";
import { alike, restingBlocksOf, smallBases } from "../resting-blocks.ts";
import type { AwsPlace, AwsServers } from "./aws-under-test.ts";
import { freshPlace, openAt } from "./aws-under-test.ts";

const tenants = ["acme", "other"] as const;
const groups = ["run", "batch é/🛫", "cleared", "gone"] as const;

/** Every kind of page: batches, overwrites, deletes, a group that was deleted and one that came back, requests. */
async function writeWork(store: PayloadStore): Promise<void> {
  for (const tenant of tenants) {
    const [run, batch, cleared, gone] = groups.map((group) => ({ tenant, group }));
    for (const [i, codec] of (["none", "lz4", "zstd"] as const).entries()) {
      await store.append({ ...run!, id: codec }, prose(3000, i), {
        codec,
        contentType: "text/plain",
        attributes: { n: `${i}` },
      });
    }
    await store.appendMany(
      batch!,
      Array.from({ length: 150 }, (_, i) => ({ id: `${i}`, bytes: prose(40 * i, i) })),
    );
    await store.append({ ...run!, id: "long" }, noise(300_000, 1));
    await store.append({ ...run!, id: "lz4" }, prose(500, 9));
    await store.append({ ...run!, id: "asked" }, prose(500, 10), { idempotencyKey: "k" });
    await store.delete({ ...run!, id: "none" });
    await store.delete({ ...batch!, id: "7" });
    for (const group of [cleared!, gone!]) await store.append({ ...group, id: "before" }, prose(100, 3));
    for (const group of [cleared!, gone!]) await store.deleteGroup(group);
    await store.append({ ...cleared!, id: "after" }, prose(100, 4));
  }
}

/** All that a store answers. Where it lies, and when it was stored by which commit, are not in it. */
async function everythingOf(store: PayloadStore): Promise<unknown> {
  const answers: Record<string, unknown> = {};
  for (const tenant of tenants) {
    for (const group of groups) {
      const payloads = [];
      for await (const { id, bytes, etag, contentType, attributes, body } of store.contents({ tenant, group })) {
        payloads.push({ id, bytes, etag, contentType, attributes, body: Buffer.from(body).toString("base64") });
      }
      answers[`${tenant}/${group}`] = payloads;
    }
    const { payloads, uncompressedBytes, compressedBytes, none, lz4, zstd } = await store.stats({ tenant });
    answers[tenant] = { payloads, uncompressedBytes, compressedBytes, none, lz4, zstd };
    expect(await store.get({ tenant, group: "run", id: "none" })).toBeUndefined();
    expect(await store.has({ tenant, group: "gone", id: "before" })).toBe(false);
  }
  return answers;
}

/** Puts the segments of a folder into a bucket, as any tool would. */
async function toBucket(s3: S3Client, directory: string, Bucket: string): Promise<void> {
  for (const file of await readdir(path.join(directory, "segments"), { recursive: true })) {
    if (!file.endsWith(".seg")) continue;
    const Key = `segments/${file.replaceAll("\\", "/")}`;
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: await readFile(path.join(directory, Key)) }));
  }
}

/** Copies the segments of a bucket into a folder. */
async function toFolder(s3: S3Client, Bucket: string, directory: string): Promise<void> {
  for await (const { Contents } of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix: "segments/" })) {
    for (const { Key = "" } of Contents ?? []) {
      const file = path.join(directory, Key);
      await mkdir(path.dirname(file), { recursive: true });
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
      await writeFile(file, await Body!.transformToByteArray());
    }
  }
}

/** A store moves between a folder and a bucket by copying its segments. */
export function awsMovesSuite(name: string, servers: AwsServers): void {
  const { s3 } = servers.clients;
  const folders: string[] = [];
  const freshFolder = async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "paylode-moves-"));
    folders.push(folder);
    return folder;
  };
  afterAll(async () => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  });

  async function rebuiltFrom(directory: string): Promise<{ store: AwsStore; place: AwsPlace; pages: number }> {
    const place = await freshPlace(servers);
    await toBucket(s3, directory, place.bucket);
    const store = await openAt(servers, place);
    const { pages, damage } = await store.rebuildIndex();
    expect(damage).toEqual([]);
    return { store, place, pages };
  }

  describe(`${name}: a store of a folder, put into a bucket`, () => {
    test.each([
      ["sealed in many segments", { segmentBytesMax: 20_000 }, true],
      ["closed", {}, true],
      ["still growing", {}, false],
    ])("is served as before, where it was %s", async (_what, options, closed) => {
      const directory = await freshFolder();
      const local = await openDisk({ directory, ...options });
      await writeWork(local);
      if (closed) await local.close();

      const { store, place } = await rebuiltFrom(directory);

      const source = closed ? await openDisk({ directory }) : local;
      expect(await everythingOf(store)).toEqual(await everythingOf(source));
      expect((await store.verify()).faults).toEqual([]);
      const asked = { tenant: "acme", group: "run", id: "asked" };
      await store.append({ ...asked, id: "lz4" }, prose(100, 77));
      await store.append(asked, prose(500, 10), { idempotencyKey: "k" });
      await expect(store.append(asked, prose(500, 11), { idempotencyKey: "k" })).rejects.toMatchObject({
        code: "KEY_REUSED",
      });
      sameBytes(await (await openAt(servers, place)).get({ ...asked, id: "lz4" }), prose(100, 77));
      await source.close();
    });

    test("is served as before, where its blocks rest on others", async () => {
      const directory = await freshFolder();
      const local = await openDisk({ directory });
      const kept = new Map<string, Uint8Array[]>();
      for (let i = 0; i < 24; i++) {
        const items = [0, 1, 2].map((n) => ({ id: `${n}`, bytes: alike(10 * i + n) }));
        await local.appendMany({ tenant: "acme", group: `g${i}` }, items);
        kept.set(
          `g${i}`,
          items.map(({ bytes }) => bytes),
        );
      }
      await local.compact({ graceMs: 0, mustGo: () => true, rules: smallBases });
      await local.close();
      expect((await restingBlocksOf(new NodeFileSystem(), directory)).length).toBeGreaterThan(8);

      const { place } = await rebuiltFrom(directory);

      const fresh = await openAt(servers, place);
      for (const [group, expected] of kept) {
        const bodies = [];
        for await (const { body } of fresh.contents({ tenant: "acme", group })) bodies.push(body);
        expect(bodies).toEqual(expected);
        sameBytes(await fresh.get({ tenant: "acme", group, id: "1" }), expected[1]!);
      }
      expect((await fresh.verify()).faults).toEqual([]);
    });

    test("is served without what had not been acknowledged: a tail that was cut", async () => {
      const directory = await freshFolder();
      const local = await openDisk({ directory });
      const key = { tenant: "acme", group: "run", id: "a" };
      await local.append(key, prose(700, 1));
      const torn = await freshFolder();
      await local.append({ ...key, id: "b" }, prose(700, 2));
      await cp(directory, torn, { recursive: true });
      await local.close();
      const [file = ""] = await readdir(path.join(torn, "segments/acme"));
      const bytes = await readFile(path.join(torn, "segments/acme", file));
      // Without the last mark, and the end of the frame before it.
      await writeFile(path.join(torn, "segments/acme", file), bytes.subarray(0, bytes.length - 40));

      const { store, pages } = await rebuiltFrom(torn);

      expect(pages).toBe(1);
      sameBytes(await store.get(key), prose(700, 1));
      expect(await store.get({ ...key, id: "b" })).toBeUndefined();
    });

    test("is put into an empty table alone, and goes on where that was interrupted", async () => {
      const directory = await freshFolder();
      const local = await openDisk({ directory });
      await writeWork(local);
      await local.close();
      const { store, place, pages } = await rebuiltFrom(directory);

      await expect(store.rebuildIndex()).rejects.toMatchObject({ code: "EXISTS" });
      // Some of it is there already: the first rows of each group, as an interruption leaves them.
      const table = await servers.dynamo.freshTable();
      const interrupted = await openAt(servers, { ...place, table });
      servers.dynamo.fault({ kind: "access-denied", operation: "PutItem", resource: table, nth: 12 });
      await expect(interrupted.rebuildIndex()).rejects.toMatchObject({ code: "UNAVAILABLE" });
      const again = await openAt(servers, { ...place, table });
      await expect(again.rebuildIndex()).rejects.toMatchObject({ code: "EXISTS" });
      expect((await again.rebuildIndex({ resume: true })).pages).toBe(pages);

      expect(await everythingOf(again)).toEqual(await everythingOf(store));
    });
  });

  describe(`${name}: a store of a bucket that has all its commits in segments`, () => {
    test("is served from a folder, and from a table that is made anew", async () => {
      const place = await freshPlace(servers);
      const store = await openAt(servers, place, { placement: "segments" });
      await writeWork(store);

      await expectBothWays(place, store);
    });

    test("is served so too when several processes wrote it, and hoped for each other's sequences", async () => {
      const place = await freshPlace(servers);
      const open = () => openAt(servers, place, { placement: "segments" });
      const [one, two] = [await open(), await open()];
      const run = { tenant: "acme", group: "run" };
      for (let i = 0; i < 12; i++) {
        const [store, other] = i % 2 === 0 ? [one, two] : [two, one];
        await store.append({ ...run, id: `${i}` }, prose(300, i));
        await other.append({ ...run, id: "last" }, prose(300, 100 + i));
        if (i === 5) await store.delete({ ...run, id: "3" });
        if (i === 7) await other.deleteGroup(run);
        // One that knows nothing of the group, and hopes for 1.
        if (i % 3 === 0) await (await open()).append({ ...run, id: "last" }, prose(300, 200 + i));
      }

      const folder = await expectBothWays(place, one);
      sameBytes(await folder.get({ ...run, id: "last" }), prose(300, 111));
      await folder.append({ ...run, id: "last" }, prose(300, 300));
      await folder.close();
    });

    /** Moves it to a folder, and to another table, and compares all that is answered. */
    async function expectBothWays(place: AwsPlace, store: AwsStore): Promise<PayloadStore> {
      const directory = await freshFolder();
      await toFolder(s3, place.bucket, directory);
      const expected = await everythingOf(store);
      const table = await servers.dynamo.freshTable();
      const rebuilt = await openAws({ ...place, table, clients: servers.clients });
      expect((await rebuilt.rebuildIndex()).damage).toEqual([]);
      expect(await everythingOf(rebuilt)).toEqual(expected);

      const other = await openDisk({ directory, rebuild: true, index: "memory" });
      expect(await everythingOf(other)).toEqual(expected);
      await other.close();
      const local = await openDisk({ directory, rebuild: true, index: "disk-hash" });
      expect(local.recovery.damage).toEqual([]);
      expect(await everythingOf(local)).toEqual(expected);
      expect((await local.verify()).faults).toEqual([]);
      await local.append({ tenant: "acme", group: "run", id: "later" }, prose(100, 5));
      await local.close();
      const again = await openDisk({ directory });
      await again.delete({ tenant: "acme", group: "run", id: "later" });
      expect(await collect(again.list({ tenant: "acme", group: "gone" }))).toEqual([]);
      return again;
    }
  });
}
