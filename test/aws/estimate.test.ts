import { afterAll, describe, expect, test } from "vitest";
import { estimateRequests, type StoreShape } from "../../core/estimate.ts";
import { requestDollars } from "../../core/adapters/aws/request-meter.ts";
import { listPrices } from "../../core/placement.ts";
import { collect } from "../conformance/expectations.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, openHandler, startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

const names = { idBytes: 8, groupBytes: 5 };
const idOf = (i: number): string => `id-${String(i).padStart(5, "0")}`;
const groupOf = (i: number): string => `g${String(i).padStart(4, "0")}`;

/** Within 15 %, or as close as whole numbers allow. */
function near(measured: number, estimated: number): void {
  expect(Math.abs(measured - estimated)).toBeLessThanOrEqual(Math.max(0.15 * measured, 1e-9));
}

describe("the requests of a store are within 15 % of what is measured", () => {
  test.each<StoreShape>([
    { ...names, groups: 20, commitsPerGroup: 1, payloadsPerCommit: 1, storedBytes: 700 },
    { ...names, groups: 20, commitsPerGroup: 1, payloadsPerCommit: 1, storedBytes: 1_600 },
    { ...names, groups: 20, commitsPerGroup: 1, payloadsPerCommit: 1, storedBytes: 20_000 },
    { ...names, groups: 5, commitsPerGroup: 8, payloadsPerCommit: 1, storedBytes: 1_200 },
    { ...names, groups: 10, commitsPerGroup: 1, payloadsPerCommit: 10, storedBytes: 600 },
    { ...names, groups: 6, commitsPerGroup: 2, payloadsPerCommit: 100, storedBytes: 600 },
    { ...names, groups: 3, commitsPerGroup: 1, payloadsPerCommit: 1_000, storedBytes: 600 },
  ])("$groups groups of $commitsPerGroup × $payloadsPerCommit payloads of $storedBytes bytes", async (shape) => {
    const place = await freshPlaceOf(servers);
    const writer = await openHandler(servers, place);
    writer.meter.reset();
    for (let g = 0; g < shape.groups; g++) {
      for (let c = 0; c < shape.commitsPerGroup; c++) {
        const items = Array.from({ length: shape.payloadsPerCommit }, (_, i) => ({
          id: idOf(c * shape.payloadsPerCommit + i),
          bytes: noise(shape.storedBytes, i),
          codec: "none" as const,
        }));
        await writer.store.appendMany({ tenant: "acme", group: groupOf(g) }, items);
      }
    }
    const reader = await openHandler(servers, place);
    reader.meter.reset();
    for (let g = 0; g < shape.groups; g++) await collect(reader.store.contents({ tenant: "acme", group: groupOf(g) }));

    const [written, read] = [writer.meter.counts(), reader.meter.counts()];
    const estimated = estimateRequests(shape);
    near(written.requests["PutObject"] ?? 0, estimated.objectPuts);
    near(written.writeUnits, estimated.writeUnits);
    near(read.requests["GetObject"] ?? 0, estimated.objectGets);
    near(read.readUnits, estimated.readUnits);
    near(requestDollars(written, listPrices) + requestDollars(read, listPrices), estimated.dollars);
  });
});
