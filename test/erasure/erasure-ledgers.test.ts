import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Deadline } from "../../core/adapters/aws/deadline.ts";
import { DynamoErasureLedger } from "../../core/adapters/aws/dynamo-erasure-ledger.ts";
import { DiskErasureLedger } from "../../core/adapters/disk/disk-erasure-ledger.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { MemoryErasureLedger } from "../../core/adapters/memory/memory-erasure-ledger.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { erasureLedgerSuite, sampleErasure } from "../support/erasure-ledger-suite.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { startDynalite, type DynamoServer } from "../support/aws/dynamo-server.ts";

let dynamo: DynamoServer;
beforeAll(async () => {
  dynamo = await startDynalite();
});
afterAll(() => dynamo.close());

const newDisk = (seed = 1) => new PowerLossFileSystem({ random: seededRandom(seed) });
const onDisk = (fs: PowerLossFileSystem) =>
  new DiskErasureLedger({ fs, layout: new Layout("/store"), digest: nodeDigest });

erasureLedgerSuite("memory", async () => {
  const ledger = new MemoryErasureLedger();
  return { ledger, again: ledger };
});

erasureLedgerSuite("a folder", async () => {
  const fs = newDisk();
  return { ledger: onDisk(fs), again: onDisk(fs) };
});

erasureLedgerSuite("DynamoDB", async () => {
  const options = { client: dynamo.client(), table: await dynamo.freshTable(), deadline: new Deadline(20_000) };
  return { ledger: new DynamoErasureLedger(options), again: new DynamoErasureLedger(options) };
});

describe("a ledger in a folder", () => {
  test.each(["erasure", "new erasure"] as const)("needs the sync of %s", async (reason) => {
    let lost = 0;
    for (let seed = 1; seed <= 50; seed++) {
      const fs = newDisk(seed);
      fs.ignoreSyncs(new Set([reason]));
      await onDisk(fs).put(sampleErasure(1));
      const left = await onDisk(fs.powerLoss())
        .list()
        .catch(() => []);
      lost += left.length === 1 ? 0 : 1;
    }
    expect(lost).toBeGreaterThan(0);
  });

  test("keeps through a power cut what it answered", async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const fs = newDisk(seed);
      await onDisk(fs).put(sampleErasure(1));
      await onDisk(fs).put(sampleErasure(1, { version: 2 }));

      expect(await onDisk(fs.powerLoss()).list()).toEqual([sampleErasure(1, { version: 2 })]);
    }
  });

  test("is CORRUPT with any byte flipped, and never without the erasure", async () => {
    const fs = newDisk();
    await onDisk(fs).put(sampleErasure(1));
    const [file = ""] = fs.files().filter((name) => name.endsWith(".json"));
    const bytes = fs.readFile(file);
    for (let at = 0; at < bytes.length - 1; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1;
      fs.writeFile(file, flipped);

      await expect(onDisk(fs).list(), `byte ${at}`).rejects.toMatchObject({ code: "CORRUPT" });
    }
  });
});
