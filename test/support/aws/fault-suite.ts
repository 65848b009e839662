import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { prose } from "../../conformance/sample-bytes.ts";
import type { AwsPlace } from "./aws-under-test.ts";
import type { DynamoFaultPlan } from "./dynamo-server.ts";
import {
  doStep,
  expectPossible,
  findable,
  newPossible,
  type Step,
  textOf,
  workAttributes,
  workGroups,
} from "./fault-workload.ts";
import type { Fault } from "./faults.ts";
import { type FaultyServers, freshPlaceOf, type HandlerOptions, openHandler } from "./handlers.ts";
import type { S3FaultPlan } from "./s3-double.ts";

/** What happens to one request, on either server. */
interface Mishap {
  readonly s3?: Omit<S3FaultPlan, "nth" | "resource">;
  readonly dynamo?: Omit<DynamoFaultPlan, "nth" | "resource">;
  /** How long a client waits for a silent server, in milliseconds. */
  readonly patienceMs?: number;
}

const onBoth = (plan: { kind: "reset" | "timeout" | "hold" | "internal-error"; when: "before" | "after" }): Mishap => ({
  s3: plan,
  dynamo: plan,
});
const silent = { patienceMs: 600 };

const mishaps = {
  "is reset before it takes effect": onBoth({ kind: "reset", when: "before" }),
  "is reset after it took effect": onBoth({ kind: "reset", when: "after" }),
  "is never answered, and takes no effect": { ...onBoth({ kind: "timeout", when: "before" }), ...silent },
  "is never answered, and took effect": { ...onBoth({ kind: "timeout", when: "after" }), ...silent },
  "fails with 500 before it takes effect": onBoth({ kind: "internal-error", when: "before" }),
  "fails with 500 after it took effect": onBoth({ kind: "internal-error", when: "after" }),
  "is refused: too many": { s3: { kind: "slow-down" }, dynamo: { kind: "throughput-exceeded" } },
  "is cut in its body": { s3: { kind: "cut-upload", operation: "PutObject" } },
  "has its answer cut": { s3: { kind: "cut-download", operation: "GetObject" } },
  "has its answer come slowly": { s3: { kind: "slow-download", operation: "GetObject", delayMs: 5 } },
} as const satisfies Record<string, Mishap>;

export type MishapName = keyof typeof mishaps;

const lateWrites: Mishap = {
  s3: { kind: "hold", when: "before", operation: "PutObject" },
  dynamo: { kind: "hold", when: "before", operation: "PutItem" },
  ...silent,
};

const ends: readonly (readonly [string, Mishap])[] = [
  ["before a request takes effect", onBoth({ kind: "hold", when: "before" })],
  ["after a request took effect", onBoth({ kind: "hold", when: "after" })],
];

export interface FaultSuite {
  readonly servers: FaultyServers;
  readonly workload: readonly Step[];
  /** All of them unless given. */
  readonly only?: readonly MishapName[];
  /** Whether writes also arrive late, and handlers end; unless `false`. */
  readonly late?: boolean;
}

/** Strikes each request of a workload in each way, one at a time, and looks at what others then see. */
export async function awsFaultSuite({ servers, workload, only, late = true }: FaultSuite): Promise<void> {
  /** What the workload asks for when nothing happens: as many cases as there are requests. */
  const asked = await requestsOfWorkload();

  async function requestsOfWorkload() {
    const { place, store, possible } = await opened({}, Infinity);
    servers.s3.log.clear();
    servers.dynamo.log.clear();
    for (const step of workload) expect(await doStep(step, store, possible)).toBeUndefined();
    return {
      s3: servers.s3.log.entries({ resource: place.bucket }).map(({ operation }) => operation),
      dynamo: servers.dynamo.log.entries({ resource: place.table }).map(({ operation }) => operation),
    };
  }

  /** A handler with so many tries for each request. */
  async function opened({ patienceMs }: Mishap, maxAttempts: number) {
    const place = await freshPlaceOf(servers);
    const requestHandler = patienceMs === undefined ? {} : { requestHandler: { socketTimeout: patienceMs } };
    const config = { ...(maxAttempts === Infinity ? {} : { maxAttempts }), ...requestHandler };
    const options: HandlerOptions = { s3Config: config, dynamoConfig: config, indexedAttributes: workAttributes };
    const { store, clients } = await openHandler(servers, place, options);
    return { place, store, clients, possible: newPossible() };
  }

  async function expectPossibleAt(place: AwsPlace, possible: ReturnType<typeof newPossible>): Promise<void> {
    await expectPossible((await openHandler(servers, place)).store, possible);
  }

  /** Each request of the workload, as somewhere for a mishap to strike. */
  function* strikes({ s3, dynamo }: Mishap): Generator<(place: AwsPlace) => Fault> {
    const matching = (operations: readonly string[], wanted: string | undefined) =>
      operations.filter((operation) => wanted === undefined || operation === wanted).length;
    for (let nth = 1; s3 && nth <= matching(asked.s3, s3.operation); nth++) {
      yield ({ bucket }) => servers.s3.fault({ ...s3, nth, resource: bucket });
    }
    for (let nth = 1; dynamo && nth <= matching(asked.dynamo, dynamo.operation); nth++) {
      yield ({ table }) => servers.dynamo.fault({ ...dynamo, nth, resource: table });
    }
  }

  /** Runs a case for each strike, some at a time, since they also wait. */
  async function forEach(mishap: Mishap, run: (strike: (place: AwsPlace) => Fault) => Promise<void>): Promise<void> {
    const waiting = strikes(mishap);
    let cases = 0;
    await Promise.all(
      Array.from({ length: mishap.patienceMs === undefined ? 6 : 12 }, async () => {
        for (const strike of waiting) {
          await run(strike);
          cases += 1;
        }
      }),
    );
    expect(cases).toBeGreaterThan(0);
  }

  test("the workload asks for every kind of request that reads and writes do", () => {
    expect([...new Set(asked.s3)].toSorted()).toEqual(["GetObject", "PutObject"]);
    expect([...new Set(asked.dynamo)].toSorted()).toEqual(["PutItem", "Query"]);
  });

  const chosen: [string, Mishap][] = Object.entries(mishaps);
  describe.each(chosen.filter(([what]) => only?.some((each) => each === what) ?? true))(
    "when any one request %s",
    (_what, mishap) => {
      test("no call notices: it is tried again", async () => {
        await forEach(mishap, async (strike) => {
          const { place, store, possible } = await opened(mishap, 4);
          const fault = strike(place);
          for (const step of workload) expect(await doStep(step, store, possible)).toBeUndefined();
          expect(fault.hits).toBe(1);
          await expectPossibleAt(place, possible);
        });
      });

      test("and is not tried again, its call is UNAVAILABLE and did all or nothing; all others hold", async () => {
        await forEach(mishap, async (strike) => {
          const { place, store, possible } = await opened(mishap, 1);
          const fault = strike(place);
          const failed = [];
          for (const step of workload) failed.push(...[await doStep(step, store, possible)].filter(Boolean));
          expect(fault.hits).toBe(1);
          expect(failed.length).toBeLessThanOrEqual(1);
          for (const error of failed) expect(error).toMatchObject({ code: "UNAVAILABLE" });
          await expectPossibleAt(place, possible);
        });
      });
    },
  );

  if (!late) return;

  describe("a write that arrives late", () => {
    test("after its caller gave up and went on, undoes nothing that was acknowledged since", async () => {
      await forEach(lateWrites, async (strike) => {
        const { place, store, possible } = await opened(lateWrites, 1);
        const late = strike(place);
        for (const step of workload) await doStep(step, store, possible);
        expect(late.hits).toBe(1);

        late.release();
        await sleep(50);

        await expectPossibleAt(place, possible);
      });
    });

    test("after a second try of it was answered, changes nothing", async () => {
      await forEach(lateWrites, async (strike) => {
        const { place, store, possible } = await opened(lateWrites, 4);
        const late = strike(place);
        for (const step of workload) expect(await doStep(step, store, possible)).toBeUndefined();
        late.release();
        await sleep(50);

        await expectPossibleAt(place, possible);
      });
    });
  });

  describe("a handler that ends", () => {
    test.each(ends)(
      "%s leaves all or nothing of its call, and what arrives of it later hides nothing",
      async (_when, end) => {
        await forEach(end, async (strike) => {
          const { place, store, clients, possible } = await opened(end, 1);
          const last = strike(place);
          for (const step of workload) {
            const group = possible.get(step.group.group)!;
            const call = step.call(store);
            call.catch(() => {});
            const outcome = await Promise.race([call.then((answer) => ({ answer })), last.struck]);
            if (outcome) step.done(outcome.answer, group);
            else if (step.commit) group.unknown(step.commit);
            if (last.hits > 0) break;
          }
          // Nothing more is heard of it, and it asks for nothing more; what it asked is on its way.
          clients.s3.destroy();
          clients.dynamo.destroy();

          const next = await openHandler(servers, place);
          await expectPossible(next.store, possible);
          const newest = prose(200, 77);
          for (const group of workGroups) {
            await next.store.append({ ...group, id: "e" }, newest, findable);
            possible.get(group.group)!.acknowledged((state) => new Map([...state, ["e", textOf(newest)]]));
          }

          last.release();
          await sleep(50);
          await expectPossibleAt(place, possible);
        });
      },
    );
  });
}
