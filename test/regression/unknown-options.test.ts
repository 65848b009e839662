import { describe, expect, test } from "vitest";
import { openAws } from "../../core/entries/aws.ts";
import { openClient } from "../../core/entries/client.ts";
import { openDisk, type DiskOptions } from "../../core/entries/disk.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { storeFolder } from "../support/crash-workload.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** TypeScript refuses them; from JavaScript they would be ignored, and the store would be another than was asked for. */
describe("an option that there is not", () => {
  const refusal = (field: string, ...others: readonly string[]) => ({
    code: "INVALID",
    details: { field },
    message: expect.stringMatching(new RegExp(`"${field}".*${others.join(".*")}`)) as string,
  });

  test("is refused by openDisk, before any file is touched, with those that there are", async () => {
    const disk = new PowerLossFileSystem({ random: seededRandom(1) });
    const options = { directory: storeFolder, durabilty: "fast" } as unknown as DiskOptions;

    await expect(openDisk(options, simulatedMachine(disk, 1))).rejects.toMatchObject(
      refusal("durabilty", "cacheBytes", "directory", "durability", "payloadBytesMax", "retentionMs"),
    );

    expect(disk.files()).toEqual([]);
  });

  test("is refused by openMemory, openClient and openAws, with those that there are", async () => {
    const wrong = { payloadBytesMx: 1 } as object;
    const refused = (call: () => unknown, error: object) => expect(Promise.try(call)).rejects.toMatchObject(error);

    await refused(() => openMemory(wrong), refusal("payloadBytesMx", "payloadBytesMax", "readOnly"));
    const client = { url: "http://localhost:8787", tenant: "acme", attempt: 3 } as const;
    await refused(() => openClient(client), refusal("attempt", "attemptMs", "attempts", "tenant", "url"));
    const aws = { bucket: "b", table: "t", region: "eu-central-1" } as const;
    await refused(() => openAws(aws), refusal("region", "bucket", "table"));
  });

  test("of any name of an object is refused too, and one that is undefined", async () => {
    await expect(Promise.try(() => openMemory({ toString: 1 } as object))).rejects.toMatchObject({ code: "INVALID" });
    await expect(Promise.try(() => openMemory({ ttl: undefined } as object))).rejects.toMatchObject({
      code: "INVALID",
    });
  });

  test("is refused by compact, which would else do what was only to be planned, or go on without an end", async () => {
    const disk = new PowerLossFileSystem({ random: seededRandom(1) });
    const store = await openDisk({ directory: storeFolder }, simulatedMachine(disk, 1));
    const key = { tenant: "acme", group: "g", id: "a" };
    await store.append(key, new Uint8Array(1000));
    await store.delete(key);
    const before = disk.files();

    for (const [wrong, field] of [
      [{ dryrun: true }, "dryrun"],
      [{ dryRun: "yes" }, "dryRun"],
      [{ grace: 0 }, "grace"],
      [{ graceMs: Number.NaN }, "graceMs"],
      [{ graceMs: -1 }, "graceMs"],
      [{ graceMs: "0" }, "graceMs"],
      [{ timeMsMax: Number.NaN }, "timeMsMax"],
      [{ bytesMax: "1000" }, "bytesMax"],
      [{ requestsMax: -1 }, "requestsMax"],
      [{ dollarsMax: null }, "dollarsMax"],
      [{ rules: { deadShare: 0.5 } }, "deadShare"],
    ] as const) {
      const compacting = store.compact({ graceMs: 0, ...(wrong as object) });
      await expect(compacting, JSON.stringify(wrong)).rejects.toMatchObject({ code: "INVALID", details: { field } });
    }
    expect(disk.files()).toEqual(before);
    expect(await store.compact({ graceMs: 0, timeMsMax: Infinity })).toMatchObject({ complete: true });
    await store.close();
  });

  test("is refused by erase, which would else erase more than is meant", async () => {
    const store = openMemory();
    const key = { tenant: "acme", group: "g", id: "a" };
    await store.append(key, new Uint8Array(1));

    const erasing = store.erase({ tenant: "acme", group: "g", wher: { subject: "u-1" } } as { tenant: string });
    await expect(erasing).rejects.toMatchObject(refusal("wher", "everything", "ids", "where"));

    expect(await store.has(key)).toBe(true);
  });
});
