import assert from "node:assert/strict";
import { SeededRandom } from "../../../bench/agent-trace-random.ts";
import type { AwsStore } from "../../../core/entries/aws.ts";
import { type ErrorCode, isPayloadStoreError } from "../../../core/errors.ts";
import type { AwsPlace } from "./aws-under-test.ts";
import { type FaultyServers, freshPlaceOf, openHandler } from "./handlers.ts";
import { Histories } from "./histories.ts";
import { drawOperation, type Operation, runOperation } from "./operations.ts";
import { planFault } from "./random-faults.ts";

export interface ManyHandlers {
  readonly handlers: number;
  readonly groups: number;
  /** Ids of a group. */
  readonly ids: number;
  /** Calls of each handler, one after the other. */
  readonly calls: number;
  /** Faults that strike anywhere. */
  readonly faults: number;
  readonly seed: number;
}

export interface ManyHandlersReport {
  readonly calls: number;
  /** Calls that a fault, or contention, made fail. */
  readonly unknown: number;
  /** Histories, one of each id, that no order explains. */
  readonly broken: readonly string[];
}

const mayFailWith: readonly ErrorCode[] = ["UNAVAILABLE", "CONFLICT"];

/**
 * Has many handlers, each with clients, caches and a clock of its own, work on few groups at once, while requests fail. Then
 * looks whether the calls on each id can be put in an order in which each had its outcome.
 */
export async function manyHandlers(servers: FaultyServers, options: ManyHandlers): Promise<ManyHandlersReport> {
  const random = new SeededRandom(options.seed);
  const place = await freshPlaceOf(servers);
  const stores: AwsStore[] = [];
  for (let i = 0; i < options.handlers; i++)
    stores.push(await skewedHandler(servers, place, random, i % 3 === 0 ? 1 : 3));
  const requests = options.handlers * options.calls;
  const faults = Array.from({ length: options.faults }, () => planFault(servers, place, random, requests));

  const histories = new Histories();
  const sent: Operation[] = [];
  let calls = 0;
  let unknown = 0;
  const once = async (store: AwsStore, operation: Operation) => {
    const startedMs = performance.now();
    calls += 1;
    histories.began(operation, startedMs);
    const answer = await runOperation(store, operation).catch((error: unknown) => {
      if (!isPayloadStoreError(error) || !mayFailWith.includes(error.code)) throw error;
      unknown += 1;
      return undefined;
    });
    histories.ended(operation, startedMs, performance.now(), answer);
  };
  const among = { groups: Array.from({ length: options.groups }, (_, i) => `g${i}`), ids: options.ids };
  await Promise.all(
    stores.map(async (store, handler) => {
      const own = new SeededRandom(options.seed * 1000 + handler);
      for (let i = 0; i < options.calls; i++) {
        const again = own.chance(0.15) ? sent.at(-1) : undefined;
        const operation = again ?? drawOperation(own, among, `${handler}.${i}`);
        if (operation.key !== undefined) sent.push(operation);
        await once(store, operation);
      }
    }),
  );

  for (const fault of faults) fault.remove();
  const last = await skewedHandler(servers, place, random);
  for (const { group, id } of histories.names()) await once(last, { kind: "read", group, ids: [id], value: "" });
  assert.deepEqual((await last.verify()).faults, []);
  return { calls, unknown, broken: histories.broken() };
}

/**
 * Clocks of handlers differ by up to five minutes either way, to begin with also those that requests are signed by. Some
 * handlers try each request once, so that what is lost is not tried again.
 */
async function skewedHandler(
  servers: FaultyServers,
  place: AwsPlace,
  random: SeededRandom,
  maxAttempts = 3,
): Promise<AwsStore> {
  const skewMs = random.between(-299_000, 299_000);
  const config = { systemClockOffset: skewMs, maxAttempts };
  const machine = { clock: { nowMs: () => Date.now() + skewMs } };
  return (await openHandler(servers, place, { s3Config: config, dynamoConfig: config, machine })).store;
}
