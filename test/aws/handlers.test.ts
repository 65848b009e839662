import { afterAll, describe, expect, test } from "vitest";
import { startFaultyServers } from "../support/aws/handlers.ts";
import { manyHandlers } from "../support/aws/many-handlers.ts";

const servers = await startFaultyServers();
afterAll(servers.close);

describe("50 handlers on 10 groups", () => {
  test.each([
    ["while nothing fails", 0],
    ["while requests fail, are lost and arrive late", 60],
  ])("are linearizable, id by id, %s", async (_when, faults) => {
    const report = await manyHandlers(servers, { handlers: 50, groups: 10, ids: 4, calls: 8, faults, seed: 1 });

    expect(report.broken).toEqual([]);
    expect(report.calls).toBeGreaterThanOrEqual(50 * 8);
    if (faults === 0) expect(report.unknown).toBe(0);
    console.log(report);
  });
});
