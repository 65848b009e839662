import type { RequestCounts } from "../core/adapters/aws/request-meter.ts";
import type { CompactionReport } from "../core/compaction/compaction.ts";
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

/** The scheduled run. One that finds another at work is done. */
export function lambdaCompact({ backend, functionName, write }: LambdaCompactOptions) {
  return async (
    _event: unknown,
    context: Pick<LambdaContext, "awsRequestId" | "getRemainingTimeInMillis">,
  ): Promise<void> => {
    const { open, meter } = backend(() => context.getRemainingTimeInMillis());
    const startMs = Date.now();
    const run = async (): Promise<void> => {
      const { store } = await open();
      const timeMsMax = Math.max(0, context.getRemainingTimeInMillis() - farewellMs);
      const report = await store.compact({ timeMsMax, dollarsMax });
      write(compactionLine(functionName, startMs, { requestId: context.awsRequestId, report, asked: meter.counts() }));
    };
    const failure = await run().then(
      () => undefined,
      (error: unknown) => (isPayloadStoreError(error, "LOCKED") ? undefined : faultOf(error)),
    );
    if (!failure) return;
    console.error({ message: "a compaction failed", ...failure });
    // The queue of what failed gets the event, after Lambda has tried it again. Messages may name groups: they stay out of the log.
    throw new Error("the compaction failed; the log says why");
  };
}

export interface CompactionMetrics {
  readonly requestId: string;
  readonly report: CompactionReport;
  readonly asked: RequestCounts;
}
