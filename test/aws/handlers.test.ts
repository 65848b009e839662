import { afterAll, describe, expect, test } from "vitest";
import { collect, sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, type Handler, openHandler, startFaultyServers } from "../support/aws/handlers.ts";
import { manyHandlers } from "../support/aws/many-handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

describe("50 handlers on 10 groups, with clocks that differ by ten minutes", () => {
  test.each([
    ["while nothing fails", 0, 3],
    ["while requests fail, are lost and arrive late", 50, 4],
  ])("are linearizable, id by id, %s", async (_when, faults, calls) => {
    const report = await manyHandlers(servers, { handlers: 50, groups: 10, ids: 4, calls, faults, seed: 1 });

    expect(report.broken).toEqual([]);
    expect(report.calls).toBeGreaterThanOrEqual(50 * calls);
    if (faults === 0) expect(report.unknown).toBe(0);
    else expect(report.unknown).toBeGreaterThan(0);
  });
});

describe("a handler that decides", () => {
  test("rests on what it saw then, and not on what it has heard since", async () => {
    const place = await freshPlaceOf(servers);
    const [one, two] = [await openHandler(servers, place), await openHandler(servers, place)];
    const key = { tenant: "acme", group: "g", id: "a" };
    const late = servers.dynamo.fault({ kind: "hold", when: "after", operation: "Query", resource: place.table });
    const creating = one.store.append(key, prose(100, 1), { ifAbsent: true }).catch((error: unknown) => error);
    await late.struck;

    await two.store.append(key, prose(100, 2), { ifAbsent: true });
    await one.store.get(key);
    late.release();

    expect(await creating).toMatchObject({ code: "EXISTS" });
    sameBytes(await one.store.get(key), prose(100, 2));
  });
});

describe("many handlers that write one group at the same time", () => {
  test("all get through, and nothing of theirs is lost", async () => {
    const place = await freshPlaceOf(servers);
    const handlers: Handler[] = [];
    for (let i = 0; i < 25; i++) handlers.push(await openHandler(servers, place));
    const group = { tenant: "acme", group: "hot" };

    const created = await Promise.all(
      handlers.map(async ({ store }, i) => {
        await store.append({ ...group, id: `of ${i}` }, prose(100, i));
        const create = store.append({ ...group, id: "of one" }, prose(100, i), { ifAbsent: true });
        return create.then(
          () => true,
          (error: unknown) => (error as { code: string }).code,
        );
      }),
    );

    expect(created.filter((outcome) => outcome === true).length).toBe(1);
    expect(created.filter((outcome) => outcome === "EXISTS").length).toBe(24);
    const listed = await collect(handlers[0]!.store.list(group));
    expect(listed.length).toBe(26);
  });
});
