import { afterAll, describe, expect, test } from "vitest";
import { startFaultyServers } from "../support/aws/handlers.ts";
import { manyHandlers } from "../support/aws/many-handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

describe("50 handlers on 10 groups, with clocks that differ by ten minutes", () => {
  test.each([11, 12])("are linearizable, id by id, while 400 requests fail (seed %i)", async (seed) => {
    const report = await manyHandlers(servers, { handlers: 50, groups: 10, ids: 5, calls: 30, faults: 400, seed });

    expect(report.broken).toEqual([]);
    expect(report.unknown).toBeGreaterThan(0);
  });
});
