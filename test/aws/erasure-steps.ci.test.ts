import { afterAll, describe, expect, test } from "vitest";
import { isPayloadStoreError } from "../../core/errors.ts";
import { expectKept, filled, tenant, traces, untilGone } from "../support/aws/erased-store.ts";
import { type HandlerOptions, openHandler } from "../support/aws/handlers.ts";
import { hour, minute, startWithMovedClock } from "../support/aws/moved-clock.ts";

const clock = await startWithMovedClock();
afterAll(clock.close);
const { servers, pass } = clock;

const oneTry: HandlerOptions = { s3Config: { maxAttempts: 1 }, dynamoConfig: { maxAttempts: 1 } };

/** A run that sets the cut, one after it, one after the graces, and one when orphans are a day old. */
const passes = [minute, 2 * hour, 3 * hour, 26 * hour];

/** Each would take minutes: ERASURE_STEPS=1 does them all. */
const every = Number(process.env["ERASURE_STEPS"] ?? 11);

function ofFault(error: unknown): void {
  if (!isPayloadStoreError(error, "LOCKED") && !isPayloadStoreError(error, "UNAVAILABLE")) throw error;
}

describe("an erasure ends gone, and without a trace, also where", () => {
  test.each([
    ["s3", "before"],
    ["s3", "after"],
    ["dynamo", "before"],
    ["dynamo", "after"],
  ] as const)(
    "any request to %s is the last of its process, %s it took effect",
    async (server, when) => {
      let strikes = 0;
      for (let nth = 1; ; nth += every) {
        const of = await filled(clock);
        const { id } = await of.handler.store.erase({ tenant, where: { subject: "u-1" } });
        const fault =
          server === "s3"
            ? servers.s3.fault({ kind: "reset", when, nth, resource: of.place.bucket })
            : servers.dynamo.fault({ kind: "reset", when, nth, resource: of.place.table });
        for (const ms of passes) {
          pass(ms);
          await openHandler(servers, of.place, oneTry)
            .then(({ store }) => store.compact())
            .catch(ofFault);
        }
        strikes += fault.hits;
        const { store } = await openHandler(servers, of.place);
        const expectNoTraceOnceGone = async () => {
          const { state } = (await store.erasure({ tenant, erasure: id }))!;
          if (state === "gone") expect(await traces(of.handler, of.place), `request ${nth}`).toEqual([]);
        };
        await expectNoTraceOnceGone();
        await untilGone(clock, store, expectNoTraceOnceGone, 13);
        await expectKept(store, of.kept);
        if (fault.hits === 0) break;
      }
      expect(strikes).toBeGreaterThan(1);
    },
    300_000,
  );
});
