import { afterAll, describe, expect, test } from "vitest";
import { listPrices } from "../../core/entries/aws.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, openHandler, startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());
const group = { tenant: "acme", group: "g" };

describe("verify on AWS", () => {
  test("tells its price before it begins, looks up every id, and counts what nothing refers to", async () => {
    const place = await freshPlaceOf(servers);
    const { store } = await openHandler(servers, place);
    await store.appendMany(
      group,
      Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, bytes: noise(9000, i) })),
    );
    await store.append({ ...group, id: "0" }, prose(300, 1));
    await store.append({ ...group, group: "h", id: "a" }, noise(9000, 99));

    const cost = await store.estimateVerify();
    const report = await store.verify();

    expect(cost).toMatchObject({ segments: 2, lists: 3 });
    expect(cost.bytes).toBeGreaterThan(180_000);
    expect(cost.gets).toBeGreaterThanOrEqual(2);
    const { objectPut, objectGet, readUnit } = listPrices;
    expect(cost.dollars).toBeCloseTo(3 * objectPut + cost.gets * objectGet + cost.readUnits * readUnit, 12);
    expect(report).toMatchObject({ faults: [], segments: 2, frames: 3, payloads: 22, ids: 21, unreferenced: 0 });
  });
});
