import { afterAll, describe, expect, test } from "vitest";
import { Deadline } from "../../core/adapters/aws/deadline.ts";
import { DynamoRowTable } from "../../core/adapters/aws/dynamo-row-table.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { RowLease } from "../../core/compaction/row-lease.ts";
import { rowTimes } from "../../core/compaction/row-times.ts";
import { collect } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, openHandler } from "../support/aws/handlers.ts";
import { hour, startWithMovedClock } from "../support/aws/moved-clock.ts";

const { servers, pass, close } = await startWithMovedClock();
afterAll(close);

const { leaseMs } = rowTimes;
const second = 1_000;
const key = { tenant: "acme", group: "g" };

/** A place, and the lease of it as a process of its own asks for it. */
async function opened() {
  const place = await freshPlaceOf(servers);
  const take = () => {
    const rows = new DynamoRowTable({
      client: servers.dynamo.client(),
      table: place.table,
      deadline: new Deadline(5_000),
    });
    return RowLease.take({ rows, clock: { nowMs: () => Date.now() }, random: new SystemRandom(), leaseMs });
  };
  return { place, take };
}

describe("the lease of a table", () => {
  test("is one process's at a time: another is told by whom it is held, and until when", async () => {
    const { place, take } = await opened();
    const { store } = await openHandler(servers, place);
    for (const id of ["a", "b"]) await store.append({ ...key, id }, prose(300, 1));
    pass(hour);
    const holder = await take();
    const untilMs = Date.now() + leaseMs;
    servers.dynamo.log.clear();

    const locked = { code: "LOCKED", details: { token: holder.token, untilMs } };
    await expect(take()).rejects.toMatchObject(locked);
    await expect(store.compact()).rejects.toMatchObject(locked);

    expect(servers.dynamo.log.count({ operation: "PutItem" })).toBe(0);
    expect(await holder.release(undefined)).toBe(true);
    expect((await store.compact()).rows).toMatchObject({ rowsWritten: 1 });
  });

  test("of those that ask for it in the same second is one's", async () => {
    const { take } = await opened();
    pass(leaseMs + second);

    const asked = await Promise.allSettled([take(), take(), take()]);

    expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const refused = asked.filter((each) => each.status === "rejected");
    expect(refused).toHaveLength(2);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: "LOCKED" });
  });

  test("is its holder's also where the answer was lost, and it was asked again", async () => {
    const { place, take } = await opened();
    const answer = servers.dynamo.fault({ kind: "reset", when: "after", operation: "PutItem", resource: place.table });

    const holder = await take();

    expect(answer.hits).toBe(1);
    expect(await holder.release(undefined)).toBe(true);
  });

  test("is held for as long as its holder says that it goes on", async () => {
    const { take } = await opened();
    const holder = await take();
    for (let i = 0; i < 4; i++) {
      pass(leaseMs - second);
      expect(await holder.goesOn()).toBe(true);
      await expect(take()).rejects.toMatchObject({ code: "LOCKED", details: { token: holder.token } });
    }
    // While little of it is over it costs nothing to go on.
    servers.dynamo.log.clear();
    pass(leaseMs / 3 - second);
    expect(await holder.goesOn()).toBe(true);
    expect(servers.dynamo.log.count()).toBe(0);
  });

  test("is another's after its time, with a greater token, and the one before neither goes on nor lets go of it", async () => {
    const { take } = await opened();
    const stale = await take();
    pass(leaseMs - second);
    await expect(take()).rejects.toMatchObject({ code: "LOCKED" });
    pass(second);

    const holder = await take();

    expect(holder.token).toBe(stale.token + 1);
    expect(await stale.goesOn()).toBe(false);
    expect(await stale.release({ after: "acme/g", sinceMs: 0, marks: [], untold: [] })).toBe(false);
    await expect(take()).rejects.toMatchObject({ code: "LOCKED", details: { token: holder.token } });
    pass(leaseMs / 2);
    expect(await holder.goesOn()).toBe(true);
    expect(await holder.release(undefined)).toBe(true);
    const next = await take();
    expect([next.token, next.unfinished]).toEqual([holder.token + 1, undefined]);
  });
});

describe("a run that is held up for longer than its lease", () => {
  test("ends where another has taken it, and leaves the rest to that one", async () => {
    const { place, take } = await opened();
    const slow = await openHandler(servers, place);
    for (const group of ["g", "h"])
      for (const id of ["a", "b"]) await slow.store.append({ ...key, group, id }, prose(300, 1));
    pass(hour);
    const scan = servers.dynamo.fault({ kind: "hold", when: "after", operation: "Scan", resource: place.table });

    const compacting = slow.store.compact();
    await scan.struck;
    pass(leaseMs + second);
    const holder = await take();
    scan.release();
    const report = await compacting;

    expect(report).toMatchObject({ complete: false, freed: [], rows: { groups: 0, rowsWritten: 0, rowsRemoved: 0 } });
    await expect(take()).rejects.toMatchObject({ code: "LOCKED", details: { token: holder.token } });
    expect(holder.unfinished).toBeUndefined();
    expect(await holder.release(holder.unfinished)).toBe(true);
    const other = await openHandler(servers, place);
    expect(await other.store.compact()).toMatchObject({ complete: true, rows: { groups: 2, rowsWritten: 2 } });
    expect((await collect(other.store.list(key))).map(({ id }) => id)).toEqual(["a", "b"]);
  });
});
