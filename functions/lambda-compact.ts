import type { RequestCounts } from "../core/adapters/aws/request-meter.ts";
import type { CompactionReport } from "../core/compaction/compaction.ts";
import type { CompactionPlan } from "../core/compaction/plan.ts";
import { isPayloadStoreError } from "../core/errors.ts";
import { compactionLine } from "./compaction-metrics.ts";
import { faultOf } from "./lambda-log.ts";
import type { LambdaContext } from "./lambda-runtime.ts";
import type { LambdaBackend } from "./lambda-store.ts";

export interface LambdaCompactOptions {
  /** @param remainingMs  what is left to the invocation */
  readonly backend: (remainingMs: () => number) => Pick<LambdaBackend, "open" | "meter">;
  readonly functionName: string;
  /** Takes a line of the log. */
  readonly write: (line: string) => void;
}

/** What is kept of an invocation's time to leave what an unfinished pass found, in milliseconds. */
export const farewellMs = 60_000;

/** Dollars of one run, at most: thirty times what a busy hour costs. A mistake then costs no more than that an hour. */
export const dollarsMax = 5;

/** Segments that a plan lists: an answer of Lambda has 6 MB. */
const plannedListedMax = 10_000;

/**
 * The scheduled run. One that finds another at work is done.
 *
 * @returns nothing; where the event has `dryRun: true` what a run would do, free and cost, to whoever invoked it: it names tenants and
 *   segments, so it is not in the log
 */
export function lambdaCompact({ backend, functionName, write }: LambdaCompactOptions) {
  return async (
    event: unknown,
    context: Pick<LambdaContext, "awsRequestId" | "getRemainingTimeInMillis">,
  ): Promise<CompactionPlanned | undefined> => {
    const { open, meter } = backend(() => context.getRemainingTimeInMillis());
    const startMs = Date.now();
    const run = async (): Promise<CompactionPlanned | undefined> => {
      const { store } = await open();
      const timeMsMax = Math.max(0, context.getRemainingTimeInMillis() - farewellMs);
      if (isDry(event)) return planned(await store.compact({ dryRun: true, timeMsMax, dollarsMax }));
      const report = await store.compact({ timeMsMax, dollarsMax });
      write(compactionLine(functionName, startMs, { requestId: context.awsRequestId, report, asked: meter.counts() }));
      return undefined;
    };
    let failure: ReturnType<typeof faultOf>;
    try {
      return await run();
    } catch (error) {
      if (isPayloadStoreError(error, "LOCKED") && !isDry(event)) return undefined;
      failure = faultOf(error);
    }
    console.error({ message: "a compaction failed", ...failure });
    // The queue of what failed gets the event, after Lambda has tried it again. Messages may name groups: they stay out of the log.
    throw new Error("the compaction failed; the log says why");
  };
}

export interface CompactionPlanned {
  readonly plan: CompactionPlan;
  /** Objects that would be removed now: segments, and what they and uploads take. */
  readonly freed: number;
  readonly freedBytes: number;
  readonly skipped: CompactionReport["skipped"];
  readonly complete: boolean;
  readonly rows: CompactionReport["rows"];
}

function planned({ plan, freed, freedBytes, skipped, complete, rows }: CompactionReport): CompactionPlanned {
  const segments = plan.segments.slice(0, plannedListedMax);
  return { plan: { ...plan, segments }, freed: freed.length, freedBytes, skipped, complete, rows };
}

function isDry(event: unknown): boolean {
  return typeof event === "object" && event !== null && (event as { readonly dryRun?: unknown }).dryRun === true;
}

export interface CompactionMetrics {
  readonly requestId: string;
  readonly report: CompactionReport;
  readonly asked: RequestCounts;
}
