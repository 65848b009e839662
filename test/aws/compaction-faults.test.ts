import { afterAll, describe, expect, test } from "vitest";
import { isPayloadStoreError } from "../../core/errors.ts";
import { collect } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { compactionFaultSuite } from "../support/aws/compaction-fault-suite.ts";
import { stateOf, textOf } from "../support/aws/fault-workload.ts";
import { freshPlaceOf, openHandler } from "../support/aws/handlers.ts";
import { hour, startWithMovedClock } from "../support/aws/moved-clock.ts";

const clock = await startWithMovedClock();
const { servers } = clock;
afterAll(() => clock.close());
const tenant = "acme";

await compactionFaultSuite(clock, 29);

describe("two that compact, and eight that write", () => {
  test("lose nothing and bring nothing back", async () => {
    const place = await freshPlaceOf(servers);
    const group = { tenant, group: "g" };
    const writers = await Promise.all(Array.from({ length: 8 }, () => openHandler(servers, place)));
    const machine = {
      compaction: { times: { leaseMs: 0, restMs: -1000, graceMs: 0, graceMsMin: 0, arrivalMs: hour } },
    };
    const compactors = await Promise.all([0, 1].map(() => openHandler(servers, place, { machine })));
    const acknowledged = new Map<string, string>();
    let writing = true;
    const compacting = compactors.map(async ({ store }) => {
      let written = 0;
      while (writing) written += (await store.compact().catch(ofLeaseNone))?.rows?.rowsWritten ?? 0;
      return written;
    });
    await Promise.all(
      writers.map(async ({ store }, w) => {
        for (let n = 0; n < 12; n++) {
          const id = `${w}-${n % 5}`;
          const bytes = n % 3 === 0 ? noise(6000, w * 100 + n) : prose(300, w * 100 + n);
          if (n % 4 === 3 && acknowledged.has(id)) {
            expect(await store.delete({ ...group, id })).toBe(true);
            acknowledged.delete(id);
          } else {
            await store.append({ ...group, id }, bytes);
            acknowledged.set(id, textOf(bytes));
          }
        }
      }),
    );
    writing = false;
    const written = await Promise.all(compacting);
    expect(written[0]! + written[1]!).toBeGreaterThan(0);
    const { store } = await openHandler(servers, place);
    expect(Object.fromEntries(await stateOf(store, group))).toEqual(Object.fromEntries(acknowledged));
    expect((await collect(store.list(group))).length).toBe(acknowledged.size);
  }, 60_000);

  function ofLeaseNone(error: unknown): undefined {
    if (!isPayloadStoreError(error, "LOCKED")) throw error;
  }
});
