import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import type { DirectorySync, FileSystem } from "../../core/adapters/disk/file-system.ts";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import { noise, text } from "../conformance/sample-bytes.ts";
import { startFaultyServers } from "../support/aws/handlers.ts";
import { freshPlace, openAt } from "../support/aws/aws-under-test.ts";
import { faultyFileSystem } from "../support/faulty-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { filesOf, tracesOf } from "../support/traces.ts";

const faulty = await startFaultyServers();
afterAll(() => faulty.close());
const servers = { ...faulty, clients: { s3: faulty.s3.client(), dynamo: faulty.dynamo.client() } };

const tenant = "acme";
const folder = "/store";
const secret = "4111-SECRET-1111";
const goes = text(`${secret} goes`);
const stays = text("stays");

/** A bucket's objects: two uploads, `goes` and `stays`, the latter also as another group's, and a payload beside them. */
const objects = await (async () => {
  const place = await freshPlace(servers);
  const store = await openAt(servers, place, { placement: "segments" });
  const put = async (bytes: Uint8Array, ids: readonly (readonly [group: string, id: string])[]) => {
    const shape = { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
    const begun = await store.beginUpload({ tenant, group: "g", id: "a" }, shape);
    const { url, method, headers, upload } = begun;
    expect((await fetch(url, { method, headers, body: bytes as Uint8Array<ArrayBuffer> })).status).toBe(200);
    for (const [group, id] of ids) await store.commitUpload({ tenant, group, id }, { upload, ...shape });
  };
  await put(goes, [["g", "goes"]]);
  await put(stays, [
    ["g", "stays"],
    ["other", "stays too"],
  ]);
  await store.append({ tenant, group: "g", id: "beside" }, noise(3000, 1));
  const { Contents = [] } = await servers.clients.s3.send(new ListObjectsV2Command({ Bucket: place.bucket }));
  const found = new Map<string, Uint8Array>();
  for (const { Key = "" } of Contents) {
    const { Body } = await servers.clients.s3.send(new GetObjectCommand({ Bucket: place.bucket, Key }));
    found.set(Key, await Body!.transformToByteArray());
  }
  return found;
})();

/** A folder that the bucket was copied to, with its index. */
async function copied(seed = 1): Promise<PowerLossFileSystem> {
  const fs = new PowerLossFileSystem({ random: seededRandom(seed) });
  const make = (path: string) => {
    if (path !== "/" && !fs.stat(path)) {
      make(dirname(path));
      fs.makeDirectory(path);
    }
  };
  for (const [name, bytes] of objects) {
    make(dirname(`${folder}/${name}`));
    fs.writeFile(`${folder}/${name}`, bytes);
  }
  const store = await open(fs, { rebuild: true });
  await store.close();
  return fs;
}

/** Nothing of the bucket is young. */
const aWeekLater = { nowMs: () => Date.now() + 7 * 86_400_000 };
let processes = 0;
const open = (fs: FileSystem, options: Partial<DiskOptions> = {}): Promise<DiskStore> =>
  openDisk({ directory: folder, ...options }, { ...simulatedMachine(fs, (processes += 1)), clock: aWeekLater });

const uploadsOf = (fs: FileSystem) => [...filesOf(fs, `${folder}/uploads`)].length;

async function expectRest(store: DiskStore): Promise<void> {
  expect(await store.get({ tenant, group: "g", id: "goes" })).toBeUndefined();
  expect(await store.get({ tenant, group: "g", id: "beside" })).toEqual(noise(3000, 1));
  expect((await store.verify()).faults).toEqual([]);
}

describe("an upload in a folder", () => {
  test("goes with its erasure, and one that others name stays", async () => {
    const fs = await copied();
    const store = await open(fs);
    expect(await store.get({ tenant, group: "g", id: "goes" })).toEqual(goes);
    expect([uploadsOf(fs), (await tracesOf(fs, folder, secret)).length]).toEqual([2, 1]);

    await store.erase({ tenant, group: "g", ids: ["goes", "stays"] });
    await store.compact({ graceMs: 60_000 });
    // Who holds its location reads it in the grace.
    expect([uploadsOf(fs), (await store.erasures({ tenant }))[0]?.state]).toEqual([2, "waiting"]);
    const { faults, superseded } = await store.verify();
    expect([faults, superseded.bytes > goes.length]).toEqual([[], true]);
    const { freedBytes, freed } = await store.compact({ graceMs: 0 });

    expect(await store.erasures({ tenant })).toMatchObject([{ state: "gone" }]);
    expect(await tracesOf(fs, folder, secret)).toEqual([]);
    expect(freedBytes).toBe(freed.reduce((sum, { bytes }) => sum + bytes, goes.length));
    expect(uploadsOf(fs)).toBe(1);
    expect(await store.get({ tenant, group: "other", id: "stays too" })).toEqual(stays);
    await expectRest(store);
    // The last that named the other goes.
    await store.erase({ tenant, group: "other" });
    await store.compact({ graceMs: 0 });
    expect(uploadsOf(fs)).toBe(0);
    await expectRest(store);
    await store.close();
  });

  test("is gone where its erasure says so, whichever step fails", async () => {
    const prepared = await copied();
    let steps = 0;
    for (let failAt = 1; ; failAt++) {
      const disk = prepared.kill();
      const fs = faultyFileSystem(disk, { failAt, how: failAt % 2 === 0 ? "before" : "after", changesOnly: true });
      const failing = await open(fs).catch(() => undefined);
      await failing?.erase({ tenant, group: "g", ids: ["goes"] }).catch(() => {});
      await failing?.compact({ graceMs: 0 }).catch(() => {});
      await failing?.close().catch(() => {});

      const store = await open(disk);
      for (const { state } of await store.erasures({ tenant }))
        if (state === "gone") expect(await tracesOf(disk, folder, secret), `${fs.failed}`).toEqual([]);
      await store.erase({ tenant, group: "g", ids: ["goes"] });
      for (let run = 0; run < 2; run++) await store.compact({ graceMs: 0 });
      for (const { state } of await store.erasures({ tenant })) expect(state, `${fs.failed}`).toBe("gone");
      expect(await tracesOf(disk, folder, secret), `${fs.failed}`).toEqual([]);
      expect(uploadsOf(disk)).toBe(1);
      await expectRest(store);
      await store.close();
      if (fs.failed === undefined) break;
      steps += 1;
    }
    expect(steps).toBeGreaterThan(10);
  });

  test("keeps what names it where damage may name it too, and the erasure says so", async () => {
    const fs = await copied();
    const store = await open(fs);
    // Another segment of the tenant, whose frame cannot be read.
    const { segment } = await store.append({ tenant, group: "bad", id: "a" }, noise(3000, 2));
    await store.close();
    const file = fs.open(`${folder}/segments/${tenant}/${segment}.seg`, "update");
    file.write([new Uint8Array(40).fill(7)], file.size() - 100);
    file.write([new Uint8Array(40).fill(7)], 100);
    file.close();
    const again = await open(fs);

    await again.erase({ tenant, group: "g", ids: ["goes"] });
    const { skipped } = await again.compact({ graceMs: 0 });

    expect(skipped.map(({ reason }) => reason)).toContain(
      `it names an upload that damaged segment ${segment} may name too`,
    );
    expect(await again.erasures({ tenant })).toMatchObject([{ state: "waiting" }]);
    expect(uploadsOf(fs)).toBe(2);
    await again.close();
  });

  test("is there after a power cut that took its delete, in durability fast", async () => {
    const prepared = await copied();
    let undone = 0;
    for (let failAt = 1; ; failAt++) {
      const disk = prepared.kill();
      const fs = faultyFileSystem(disk, { failAt, how: "before", changesOnly: true });
      const failing = await open(fs, { durability: "fast" }).catch(() => undefined);
      await failing?.erase({ tenant, group: "g", ids: ["goes"] }).catch(() => {});
      await failing?.compact({ graceMs: 0 }).catch(() => {});
      const after = await open(disk.powerLoss());
      const bytes = await after.get({ tenant, group: "g", id: "goes" });
      if (bytes) undone += 1;
      expect([undefined, goes], `${fs.failed}`).toContainEqual(bytes);
      expect((await after.verify()).faults, `${fs.failed}`).toEqual([]);
      await after.close();
      await failing?.close().catch(() => {});
      if (fs.failed === undefined) break;
    }
    expect(undone).toBeGreaterThan(1);
  });

  test("needs the sync of removed upload: without it, what was erased comes back", async () => {
    const comesBack = async (ignored: ReadonlySet<DirectorySync>): Promise<boolean> => {
      for (let seed = 1; seed <= 20; seed++) {
        const fs = await copied(seed);
        fs.ignoreSyncs(ignored);
        const store = await open(fs);
        await store.erase({ tenant, group: "g", ids: ["goes"] });
        await store.compact({ graceMs: 0 });
        expect(await store.erasures({ tenant })).toMatchObject([{ state: "gone" }]);
        if ((await tracesOf(fs.powerLoss(), folder, secret)).length > 0) return true;
      }
      return false;
    };
    expect(await comesBack(new Set())).toBe(false);
    expect(await comesBack(new Set(["removed upload"]))).toBe(true);
  });
});
