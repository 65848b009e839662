import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeKey } from "../../core/access/key-record.ts";
import { Deadline } from "../../core/adapters/aws/deadline.ts";
import { DynamoKeyStore } from "../../core/adapters/aws/dynamo-key-store.ts";
import { DiskKeyStore } from "../../core/adapters/disk/disk-key-store.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";
import { MemoryKeyStore } from "../../core/adapters/memory/memory-key-store.ts";
import { systemClock } from "../../core/adapters/node/clock.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { openDiskAccess } from "../../core/entries/disk-access.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { startDynalite, type DynamoServer } from "../support/aws/dynamo-server.ts";
import { faultyFileSystem } from "../support/faulty-file-system.ts";
import { keyStoreSuite, sampleKey } from "../support/key-store-suite.ts";
import { simulatedMachine } from "../support/machine.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

let dynamo: DynamoServer;
beforeAll(async () => {
  dynamo = await startDynalite();
});
afterAll(() => dynamo.close());

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), "paylode-keys-"));
const diskKeys = (directory: string, fs: FileSystem = new NodeFileSystem()): DiskKeyStore =>
  new DiskKeyStore({ fs, layout: new Layout(directory), digest: nodeDigest, clock: systemClock });
const dynamoKeys = (table: string): DynamoKeyStore =>
  new DynamoKeyStore({ client: dynamo.client(), table, deadline: new Deadline(20_000) });

keyStoreSuite("memory", async () => ({ keys: new MemoryKeyStore(), end: async () => {} }));

keyStoreSuite("disk", async () => {
  const directory = path.join(newFolder(), "store");
  return {
    keys: diskKeys(directory),
    other: diskKeys(directory),
    end: async () => rmSync(path.dirname(directory), { recursive: true }),
  };
});

keyStoreSuite("DynamoDB", async () => {
  const table = await dynamo.freshTable();
  return { keys: dynamoKeys(table), other: dynamoKeys(table), end: async () => {} };
});

describe("keys.json", () => {
  const on = (body: (directory: string, file: string) => Promise<void>) => async (): Promise<void> => {
    const directory = newFolder();
    try {
      await body(directory, path.join(directory, "keys.json"));
    } finally {
      rmSync(directory, { recursive: true });
    }
  };

  test(
    "holds no token, and is for its owner alone, also when it is replaced",
    on(async (directory, file) => {
      const { keeper } = openDiskAccess(directory);
      const { token } = await keeper.create({ tenant: "acme", name: "n", scopes: ["read"] });
      const { token: other } = await keeper.create({ tenant: "acme", name: "m", scopes: ["read"] });

      const text = readFileSync(file, "utf8");

      expect(statSync(file).mode & 0o777).toBe(0o600);
      for (const secret of [token, other].map((each) => each.slice(-43))) expect(text).not.toContain(secret);
    }),
  );

  test(
    "is changed while another process holds the folder, and does not disturb it",
    on(async (directory) => {
      const store = await openDisk({ directory });
      await diskKeys(directory).add(sampleKey(1));
      await store.append({ tenant: "acme", group: "g", id: "a" }, new Uint8Array(1));
      await store.close();

      const reopened = await openDisk({ directory });

      expect(await reopened.has({ tenant: "acme", group: "g", id: "a" })).toBe(true);
      expect((await diskKeys(directory).list("acme")).keys).toEqual([sampleKey(1)]);
      await reopened.close();
    }),
  );

  test("is noticed by who has read it before, also when it changes within one tick of the clock, to the same length", async () => {
    const time = new ManualClock();
    const fs = new PowerLossFileSystem({ random: seededRandom(1), nowMs: () => time.ms });
    const ports = { fs, layout: new Layout("/store"), digest: nodeDigest, clock: time };
    const [writer, reader] = [new DiskKeyStore(ports), new DiskKeyStore(ports)];
    await writer.add(sampleKey(1, { expiresMs: 0 }));
    for (let i = 0; i < 5; i++) {
      expect((await reader.list("acme")).keys[0]?.expiresMs).toBe(i);
      expect(await writer.replace(sampleKey(1, { expiresMs: i }), sampleKey(1, { expiresMs: i + 1 }))).toBe(true);
    }
    time.ms += 2_001;
    await reader.list("acme");
    const { ops } = fs;

    for (let i = 0; i < 100; i++) await reader.list("acme");

    // What has not changed for a while is not read again.
    expect(fs.ops).toBe(ops);
  });

  test(
    "is CORRUPT when any byte of it is changed, and nothing opens",
    on(async (directory, file) => {
      const { keeper, authenticator } = openDiskAccess(directory);
      const { token } = await keeper.create({ tenant: "acme", name: "n", scopes: ["read"] });
      const bytes = readFileSync(file);
      const opened: number[] = [];

      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ 0x01;
        writeFileSync(file, changed);
        const outcome = await openDiskAccess(directory)
          .authenticator.keyOf(token)
          .catch((error: unknown) => error);
        if (!isPayloadStoreError(outcome)) opened.push(at);
      }

      // Where it changes white space alone it is the same file.
      expect(opened.filter((at) => ![0x20, 0x0a].includes(bytes[at] ?? 0))).toEqual([]);
      writeFileSync(file, bytes);
      expect(await authenticator.keyOf(token)).toMatchObject({ tenant: "acme" });
    }),
  );

  test(
    "keeps what a newer release wrote into it, and lets nothing of that in",
    on(async (directory, file) => {
      const keys = diskKeys(directory);
      await keys.add(sampleKey(1));
      const newer = { ...(JSON.parse(encodeKey(sampleKey(2))) as object), networks: ["10.0.0.0/8"] };
      const records = [newer, JSON.parse(encodeKey(sampleKey(1)))] as const;
      const crc = `0x${nodeDigest
        .crc32(new TextEncoder().encode(JSON.stringify(records)))
        .toString(16)
        .padStart(8, "0")}`;
      writeFileSync(file, JSON.stringify({ format: 0, keys: records, crc }));

      const opened = diskKeys(directory);
      await opened.add(sampleKey(3));

      expect(await opened.list("acme")).toEqual({ keys: [sampleKey(1), sampleKey(3)], unreadable: [sampleKey(2).id] });
      expect(await opened.add(sampleKey(2))).toBe(false);
      expect((JSON.parse(readFileSync(file, "utf8")) as { keys: unknown[] }).keys[0]).toEqual(newer);
    }),
  );

  test(
    "of another format is refused by name",
    on(async (directory, file) => {
      writeFileSync(file, JSON.stringify({ format: 1, keys: [] }));

      await expect(diskKeys(directory).list("acme")).rejects.toMatchObject({ code: "UNSUPPORTED_VERSION" });
      await expect(diskKeys(directory).add(sampleKey(1))).rejects.toMatchObject({ code: "UNSUPPORTED_VERSION" });
    }),
  );

  test("survives a power cut once a change has resolved, and is whole at any other moment", async () => {
    for (let cut = 1; ; cut++) {
      const fs = new PowerLossFileSystem({ random: seededRandom(cut) });
      const { clock } = simulatedMachine(fs, 1);
      const keys = new DiskKeyStore({ fs, layout: new Layout("/store"), digest: nodeDigest, clock });
      let resolved = 0;
      let atCut: { readonly resolved: number; readonly disk: PowerLossFileSystem } | undefined;
      fs.beforeOperation = (ops) => {
        if (ops === cut) atCut = { resolved, disk: fs.powerLoss() };
      };
      for (const number of [1, 2, 3]) {
        await keys.add(sampleKey(number));
        resolved = number;
      }
      if (atCut === undefined) break;
      const after = new DiskKeyStore({ fs: atCut.disk, layout: new Layout("/store"), digest: nodeDigest, clock });
      const { keys: left } = await after.list("acme");
      expect(left.length, `cut before operation ${cut}`).toBeGreaterThanOrEqual(atCut.resolved);
      expect(left).toEqual([sampleKey(1), sampleKey(2), sampleKey(3)].slice(0, left.length));
    }
  });

  test.each(["keys.json", "new keys.json"] as const)("needs the sync of %s", async (reason) => {
    let lost = 0;
    for (let seed = 1; seed <= 50; seed++) {
      const fs = new PowerLossFileSystem({ random: seededRandom(seed) });
      const { clock } = simulatedMachine(fs, seed);
      fs.ignoreSyncs(new Set([reason]));
      await new DiskKeyStore({ fs, layout: new Layout("/store"), digest: nodeDigest, clock }).add(sampleKey(1));
      const after = new DiskKeyStore({ fs: fs.powerLoss(), layout: new Layout("/store"), digest: nodeDigest, clock });
      const left = await after.list("acme").catch(() => ({ keys: [] }));
      lost += left.keys.length === 1 ? 0 : 1;
    }
    expect(lost).toBeGreaterThan(0);
  });

  test("says UNAVAILABLE when any one step of a change fails, and holds the old or the new", async () => {
    for (let failAt = 1; ; failAt++) {
      const disk = new PowerLossFileSystem({ random: seededRandom(1) });
      const { clock } = simulatedMachine(disk, 1);
      const ports = { layout: new Layout("/store"), digest: nodeDigest, clock };
      await new DiskKeyStore({ ...ports, fs: disk }).add(sampleKey(1));
      const fs = faultyFileSystem(disk, { failAt, how: "before" });

      const outcome: unknown = await new DiskKeyStore({ ...ports, fs }).add(sampleKey(2)).catch((e: unknown) => e);

      const { keys: left } = await new DiskKeyStore({ ...ports, fs: disk }).list("acme");
      if (fs.failed === undefined) break;
      expect(outcome, fs.failed).toMatchObject({ code: "UNAVAILABLE" });
      expect([[sampleKey(1)], [sampleKey(1), sampleKey(2)]], fs.failed).toContainEqual(left);
    }
  });
});

describe("keys in DynamoDB", () => {
  test("are read with one query, whatever id is looked for, and written with one put", async () => {
    const table = await dynamo.freshTable();
    const keys = dynamoKeys(table);
    dynamo.log.clear();

    await keys.add(sampleKey(1));
    await keys.list("acme");

    expect(dynamo.log.entries().map(({ operation, key }) => [operation, key])).toEqual([
      ["PutItem", "~keys/acme#1"],
      ["Query", "~keys/acme"],
    ]);
  });

  test.each(["add", "replace"] as const)("%s is done once when its answer is lost", async (change) => {
    const keys = dynamoKeys(await dynamo.freshTable());
    const [before, after] = [sampleKey(1), sampleKey(1, { expiresMs: 1 })];
    if (change === "replace") await keys.add(before);
    const fault = dynamo.fault({ kind: "reset", when: "after", operation: "PutItem" });

    expect(await (change === "add" ? keys.add(after) : keys.replace(before, after))).toBe(true);

    expect(fault.hits).toBe(1);
    expect((await keys.list("acme")).keys).toEqual([after]);
  });

  test("that cannot be read are named, and let nobody in", async () => {
    const table = await dynamo.freshTable();
    const keys = dynamoKeys(table);
    await keys.add(sampleKey(1));
    const r = (text: string) => ({ B: new TextEncoder().encode(text) });
    const put = (sk: number, record: object): Promise<unknown> =>
      dynamo
        .client()
        .send(
          new PutItemCommand({ TableName: table, Item: { pk: { S: "~keys/acme" }, sk: { N: String(sk) }, ...record } }),
        );
    await put(2, { r: r("{") });
    await put(3, {});
    // Moved from elsewhere.
    await put(4, { r: r(encodeKey(sampleKey(9))) });
    await put(5, { r: r(encodeKey(sampleKey(5, { tenant: "other" }))) });

    const unreadable = [2, 3, 4, 5].map((number) => sampleKey(number).id);
    expect(await keys.list("acme")).toEqual({ keys: [sampleKey(1)], unreadable });
  });

  test("are UNAVAILABLE without the permission, and where there is no table", async () => {
    const table = await dynamo.freshTable();
    dynamo.fault({ kind: "access-denied", operation: "Query", resource: table });

    await expect(dynamoKeys(table).list("acme")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(dynamoKeys("no-such-table").list("acme")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(dynamoKeys("no-such-table").add(sampleKey(1))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});
