import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "acme";

/** Suspected: a merge writes memory that another merge has read to meanwhile. */
test("groups that are merged at the same time keep their bytes, whether something makes them smaller or not", async () => {
  // While a caller's frames are synced, those of merges wait, and other merges go on.
  const syncTakes = async () => {
    for (let turn = 0; turn < 20; turn++) await setImmediate();
  };
  const fs = new PowerLossFileSystem({ random: seededRandom(1), syncTakes });
  const store = await openDisk({ directory: "/store" }, simulatedMachine(fs, 1));
  const payloads = Array.from({ length: 24 }, (_, group) =>
    // What lies alone between long ones shares no block, and is stored as it is read.
    [40_000, 300_000, 30_000, 20, 500].map((length, i) => ({
      group: `g${group}`,
      id: `${i}`,
      bytes: i === 4 ? prose(length, group) : noise(length, 100 * group + i),
    })),
  ).flat();
  await Promise.all(payloads.map(({ group, id, bytes }) => store.append({ tenant, group, id }, bytes)));
  let working = true;
  const calling = (async () => {
    for (let i = 0; working; i++) await store.append({ tenant, group: "beside", id: `${i}` }, prose(100, i));
  })();

  const { pages } = await store.compact({ graceMs: 0, mustGo: () => true, rules: { restMs: 0 } });
  working = false;
  await calling;

  expect(pages).toBeGreaterThanOrEqual(24);
  for (const { group, id, bytes } of payloads)
    sameBytes(await store.get({ tenant, group, id }), bytes, `${group}/${id}`);
  await store.close();
});
