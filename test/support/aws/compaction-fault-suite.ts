import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { isPayloadStoreError } from "../../../core/errors.ts";
import { noise, prose } from "../../conformance/sample-bytes.ts";
import { stateOf, textOf } from "./fault-workload.ts";
import type { Fault } from "./faults.ts";
import type { AwsPlace } from "./aws-under-test.ts";
import { freshPlaceOf, type HandlerOptions, openHandler } from "./handlers.ts";
import { hour, type MovedClock } from "./moved-clock.ts";

const tenant = "acme";
const groups = ["rows", "segments", "emptied"].map((group) => ({ tenant, group }));
const oneTry: HandlerOptions = { s3Config: { maxAttempts: 1 }, dynamoConfig: { maxAttempts: 1 } };

function ofLease(error: unknown): void {
  if (!isPayloadStoreError(error, "LOCKED")) throw error;
}

/** Strikes each request of runs that join, sweep and remove, or some of them, and looks at what is left. */
export async function compactionFaultSuite({ servers, ...clock }: MovedClock, every: number): Promise<void> {
  /** A store with something of each kind for compaction to do, and what its groups hold. */
  async function prepared() {
    const place = await freshPlaceOf(servers);
    const { store } = await openHandler(servers, place);
    const [rows, segments, emptied] = groups as [(typeof groups)[0], (typeof groups)[0], (typeof groups)[0]];
    await store.append({ ...rows, id: "a" }, prose(300, 1));
    await store.append({ ...rows, id: "b" }, prose(300, 2));
    await store.append({ ...rows, id: "a" }, prose(300, 3));
    await store.delete({ ...rows, id: "b" });
    await store.append({ ...rows, id: "c" }, prose(300, 4));
    await store.appendMany(
      segments,
      ["a", "b"].map((id, i) => ({ id, bytes: noise(6000, i) })),
    );
    await store.append({ ...segments, id: "b" }, noise(9000, 7));
    await store.append({ ...emptied, id: "a" }, prose(300, 5));
    await store.deleteGroup(emptied);
    const expected = {
      rows: { a: textOf(prose(300, 3)), c: textOf(prose(300, 4)) },
      segments: { a: textOf(noise(6000, 0)), b: textOf(noise(9000, 7)) },
      emptied: {},
    };
    return { place, expected };
  }

  async function expectWhole({ place, expected }: Awaited<ReturnType<typeof prepared>>): Promise<void> {
    const { store } = await openHandler(servers, place);
    const seen = await Promise.all(groups.map(async (group) => Object.fromEntries(await stateOf(store, group))));
    expect(Object.fromEntries(groups.map(({ group }, i) => [group, seen[i]]))).toEqual(expected);
  }

  /** Runs as they come one after the other: joins, sweeps, then removes. */
  const passes = [hour, 2 * hour, 26 * hour, 26 * hour];

  /** Requests of each run when nothing happens to them. */
  async function asked(): Promise<{ s3: number; dynamo: number }[]> {
    const ready = await prepared();
    const { store } = await openHandler(servers, ready.place);
    const counts: { s3: number; dynamo: number }[] = [];
    for (const ms of passes) {
      clock.pass(ms);
      servers.s3.log.clear();
      servers.dynamo.log.clear();
      await store.compact();
      const of = { resource: ready.place.bucket };
      counts.push({
        s3: servers.s3.log.entries(of).length,
        dynamo: servers.dynamo.log.entries({ resource: ready.place.table }).length,
      });
      await expectWhole(ready);
    }
    return counts;
  }

  const counts = await asked();

  /** Does all runs, with something that happens to the nth request of one of them; then a run that nothing happens to. */
  async function withStrike(run: number, strike: (place: AwsPlace) => Fault, late: boolean): Promise<Fault> {
    const ready = await prepared();
    let fault: Fault | undefined;
    for (const [i, ms] of passes.entries()) {
      clock.pass(ms);
      const { store } = await openHandler(servers, ready.place, oneTry);
      if (i !== run) {
        await store.compact().catch(ofLease);
        continue;
      }
      fault = strike(ready.place);
      const running = store.compact().catch((error: unknown) => {
        if (!isPayloadStoreError(error, "UNAVAILABLE")) ofLease(error);
      });
      // A process that hears nothing more is as good as ended.
      await (late ? Promise.race([running, fault.struck.then(() => sleep(5))]) : running);
      await expectWhole(ready);
      if (late) {
        clock.pass(3 * 60_000);
        await (await openHandler(servers, ready.place)).store.compact().catch(ofLease);
        fault.release();
        await running;
      }
      await expectWhole(ready);
    }
    for (let i = 0; i < 2; i++) {
      clock.pass(26 * hour);
      await (await openHandler(servers, ready.place)).store.compact();
    }
    await expectWhole(ready);
    expect(fault!.hits).toBe(1);
    return fault!;
  }

  const strikes = counts.flatMap(({ s3, dynamo }, run) => [
    ...Array.from({ length: s3 }, (_, i) => ({ run, server: "s3" as const, nth: i + 1 })),
    ...Array.from({ length: dynamo }, (_, i) => ({ run, server: "dynamo" as const, nth: i + 1 })),
  ]);

  describe("when any one request of any run", () => {
    test.each([
      ["is reset before it takes effect", "reset", "before"],
      ["is reset after it took effect", "reset", "after"],
      ["is held, is the last of its process, and arrives while another works", "hold", "before"],
      ["took effect and is the last of its process", "hold", "after"],
    ] as const)(
      "%s, nothing is lost or comes back, and the next runs finish the work",
      async (_what, kind, when) => {
        for (const { run, server, nth } of strikes.filter((_, i) => i % every === 0)) {
          const strike = ({ bucket, table }: AwsPlace) =>
            server === "s3"
              ? servers.s3.fault({ kind, when, nth, resource: bucket })
              : servers.dynamo.fault({ kind, when, nth, resource: table });
          await withStrike(run, strike, kind === "hold");
        }
      },
      300_000,
    );
  });
}
