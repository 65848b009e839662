import assert from "node:assert/strict";
import { RequestMeter } from "../../core/adapters/aws/request-meter.ts";
import { type FaultyServers, freshPlaceOf } from "../../test/support/aws/handlers.ts";
import type { CostCell, CostItem, CostPlace, CostStore } from "./stores.ts";

/** Writes payloads in batches, a group each, and reads them back in another process; counts what is asked for. */
export async function measureCost(
  servers: FaultyServers,
  store: CostStore,
  payloads: readonly Uint8Array[],
  batch: number,
): Promise<CostCell> {
  const { bucket, table } = await freshPlaceOf(servers);
  const groups = Array.from({ length: payloads.length / batch }, (_, g) => ({
    group: `run-${g.toString(16).padStart(12, "0")}`,
    items: payloads.slice(g * batch, (g + 1) * batch).map((bytes, i): CostItem => ({ id: idOf(g * batch + i), bytes })),
  }));

  const session = async () => {
    const place: CostPlace = { s3: servers.s3.client(), dynamo: servers.dynamo.client(), bucket, table };
    const opened = await store.open(place);
    const meter = new RequestMeter();
    meter.watch(place.s3);
    meter.watch(place.dynamo);
    return { ...opened, meter };
  };
  const eachGroup = async (run: (group: (typeof groups)[number]) => Promise<void>) => {
    const waiting = groups.values();
    await Promise.all(
      Array.from({ length: store.shares ? 1 : 8 }, async () => {
        for (const group of waiting) await run(group);
      }),
    );
  };

  const writer = await session();
  await eachGroup(({ group, items }) => writer.write(group, items));
  const reader = await session();
  await eachGroup(async ({ group, items }) => {
    const bodies = await reader.read(group, items);
    const expected = new Set(items.map(({ bytes }) => Buffer.from(bytes).toString("latin1")));
    assert.equal(bodies.length, items.length);
    for (const body of bodies) assert.ok(expected.has(Buffer.from(body).toString("latin1")), "what was stored is read");
  });
  const job = await session();
  const runs = await job.compact?.();
  const compacted = runs === undefined ? undefined : { counts: job.meter.counts(), runs };
  return { batch, payloads: payloads.length, written: writer.meter.counts(), read: reader.meter.counts(), compacted };
}

/** Eight hex digits, as span ids are; they say nothing of each other. */
function idOf(i: number): string {
  return (Math.imul(i + 1, 0x9e37_79b1) >>> 0).toString(16).padStart(8, "0");
}
