import assert from "node:assert/strict";
import { SeededRandom } from "../../../bench/agent-trace-random.ts";
import type { AwsStore } from "../../../core/entries/aws.ts";
import { type ErrorCode, isPayloadStoreError } from "../../../core/errors.ts";
import { noise, prose, text } from "../../conformance/sample-bytes.ts";
import { explainNonlinear, type RegisterCall } from "../linearizable.ts";
import type { AwsPlace } from "./aws-under-test.ts";
import type { DynamoFaultKind } from "./dynamo-server.ts";
import type { Fault } from "./faults.ts";
import { type FaultyServers, freshPlaceOf, openHandler } from "./handlers.ts";
import type { S3FaultKind } from "./s3-double.ts";

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

const tenant = "acme";

/** "" where there is no payload. */
type Register = string;
type Call = RegisterCall<Register>;

/** What an operation does to each id that it is about. */
interface Operation {
  readonly what: string;
  readonly group: string;
  readonly ids: readonly string[];
  readonly run: (store: AwsStore) => Promise<unknown>;
  /** What the answer says about an id; without an answer, what may have become of it. */
  readonly step: (answer: unknown, id: string) => Call["step"];
  readonly maybe: ((id: string) => Call["step"]) | undefined;
  /** Calls with one key are one operation: it takes effect once, before the first of them is answered. */
  readonly key?: string | undefined;
}

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
  const faults = planFaults(servers, place, options, random);

  const histories = new Map<string, Call[]>();
  const keyed = new Map<string, { startedMs: number; endedMs: number }>();
  const sent: Operation[] = [];
  let calls = 0;
  let unknown = 0;
  const note = (operation: Operation, startedMs: number, endedMs: number, step: (id: string) => Call["step"]) => {
    const what = `${operation.what}${endedMs === Infinity ? " ?" : ""}`;
    for (const id of operation.ids) {
      const name = `${operation.group}/${id}`;
      histories.set(name, [...(histories.get(name) ?? []), { what, startedMs, endedMs, step: step(id) }]);
    }
  };
  const once = async (store: AwsStore, operation: Operation) => {
    const startedMs = performance.now();
    calls += 1;
    try {
      const answer = await operation.run(store);
      const endedMs = performance.now();
      if (operation.key === undefined) note(operation, startedMs, endedMs, (id) => operation.step(answer, id));
      else keyed.get(operation.key)!.endedMs = Math.min(keyed.get(operation.key)!.endedMs, endedMs);
    } catch (error) {
      if (!isPayloadStoreError(error) || !mayFailWith.includes(error.code)) throw error;
      unknown += 1;
      const { maybe, key } = operation;
      if (key === undefined && maybe) note(operation, startedMs, Infinity, maybe);
    }
  };
  await Promise.all(
    stores.map(async (store, handler) => {
      const own = new SeededRandom(options.seed * 1000 + handler);
      for (let i = 0; i < options.calls; i++) {
        const again = own.chance(0.15) ? sent.findLast(({ key }) => key !== undefined) : undefined;
        const operation = again ?? draw(own, options, `${handler}.${i}`);
        if (operation.key !== undefined && !keyed.has(operation.key)) {
          sent.push(operation);
          keyed.set(operation.key, { startedMs: performance.now(), endedMs: Infinity });
        }
        await once(store, operation);
      }
    }),
  );
  for (const operation of sent) {
    const { startedMs, endedMs } = keyed.get(operation.key!)!;
    note(operation, startedMs, endedMs, (id) => operation.step(undefined, id));
  }

  for (const fault of faults) fault.remove();
  const last = await skewedHandler(servers, place, random);
  for (const name of histories.keys()) {
    const [group = "", id = ""] = name.split("/");
    await once(last, reads(group, id));
  }
  const broken = [...histories].flatMap(([name, history]) => {
    const explained = explainNonlinear("", history);
    return explained === undefined ? [] : [`${name}:\n${explained}`];
  });
  assert.deepEqual((await last.verify()).faults, []);
  return { calls, unknown, broken };
}

const mayFailWith: readonly ErrorCode[] = ["UNAVAILABLE", "CONFLICT"];

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

const dynamoFaults: readonly DynamoFaultKind[] = [
  "reset",
  "internal-error",
  "throughput-exceeded",
  "throttling",
  "hold",
];
const s3Faults: readonly S3FaultKind[] = ["reset", "internal-error", "slow-down", "hold"];

function planFaults(servers: FaultyServers, place: AwsPlace, options: ManyHandlers, random: SeededRandom): Fault[] {
  const requests = options.handlers * options.calls;
  return Array.from({ length: options.faults }, () => {
    const when = random.pick(["before", "after"] as const);
    const nth = random.between(1, requests);
    // Struck some times in a row, so that also the tries of an SDK are used up.
    const times = random.pick([1, 1, 1, 2, 5]);
    const fault = random.chance(0.7)
      ? servers.dynamo.fault({ kind: random.pick(dynamoFaults), when, nth, times, resource: place.table })
      : servers.s3.fault({ kind: random.pick(s3Faults), when, nth: Math.ceil(nth / 8), times, resource: place.bucket });
    const heldMs = random.between(1, 60);
    void fault.struck.then(() => setTimeout(() => fault.release(), heldMs));
    return fault;
  });
}

function draw(random: SeededRandom, { groups, ids }: ManyHandlers, name: string): Operation {
  const group = `g${random.between(0, groups - 1)}`;
  const id = () => `${random.between(0, ids - 1)}`;
  const kind = random.between(0, 99);
  if (kind < 22) return writes(group, [id()], name);
  if (kind < 30) return writes(group, [...new Set([id(), id(), id()])], name);
  if (kind < 38) return writes(group, [id()], name, { long: true });
  if (kind < 46) return writes(group, [id()], name, { key: `key of ${name}` });
  if (kind < 62) return creates(group, id(), name);
  if (kind < 72) return removes(group, id());
  if (kind < 75) return clears(group, ids);
  return random.chance(0.8) ? reads(group, id()) : asks(group, id());
}

/** A payload begins with its value, so that it tells who wrote it. */
function payloadOf(value: string, long = false): Uint8Array {
  const rest = long ? noise(8000, value.length) : prose(200, value.length);
  return text(`${value} ${Buffer.from(rest).toString("latin1")}`);
}

function valueOf(bytes: Uint8Array | undefined): Register {
  return bytes === undefined ? "" : (Buffer.from(bytes).toString().split(" ")[0] ?? "");
}

function writes(
  group: string,
  ids: readonly string[],
  value: string,
  { key, long }: { key?: string; long?: true } = {},
): Operation {
  const bytes = payloadOf(value, long);
  const options = key === undefined ? {} : { idempotencyKey: key };
  const step = () => () => value;
  return {
    what: `write ${value}${key === undefined ? "" : " by key"}`,
    group,
    ids,
    key,
    run: (store) =>
      store.appendMany(
        { tenant, group },
        ids.map((id) => ({ id, bytes })),
        options,
      ),
    step,
    maybe: step,
  };
}

function creates(group: string, id: string, value: string): Operation {
  const bytes = payloadOf(value);
  return {
    what: `create ${value}`,
    group,
    ids: [id],
    run: (store) =>
      store.append({ tenant, group, id }, bytes, { ifAbsent: true }).then(
        () => true,
        (error: unknown) => {
          if (isPayloadStoreError(error, "EXISTS")) return false;
          throw error;
        },
      ),
    step: (created) => (state) => {
      if (created) return state === "" ? value : undefined;
      return state === "" ? undefined : state;
    },
    maybe: () => (state) => (state === "" ? value : undefined),
  };
}

function removes(group: string, id: string): Operation {
  return {
    what: "delete",
    group,
    ids: [id],
    run: (store) => store.delete({ tenant, group, id }),
    step: (there) => (state) => ((state !== "") === there ? "" : undefined),
    maybe: () => () => "",
  };
}

function clears(group: string, count: number): Operation {
  return {
    what: "delete the group",
    group,
    ids: Array.from({ length: count }, (_, i) => `${i}`),
    run: (store) => store.deleteGroup({ tenant, group }),
    step: (payloads) => (state) => (payloads === 0 && state !== "" ? undefined : ""),
    maybe: () => () => "",
  };
}

function reads(group: string, id: string): Operation {
  return {
    what: "read",
    group,
    ids: [id],
    run: async (store) => valueOf(await store.get({ tenant, group, id })),
    step: (value) => (state) => (state === value ? state : undefined),
    maybe: undefined,
  };
}

function asks(group: string, id: string): Operation {
  return {
    what: "has",
    group,
    ids: [id],
    run: (store) => store.has({ tenant, group, id }),
    step: (there) => (state) => ((state !== "") === there ? state : undefined),
    maybe: undefined,
  };
}
