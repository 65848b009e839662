import { concat } from "../bytes.ts";
import { isPayloadStoreError, PayloadStoreError, throwIfAborted } from "../errors.ts";
import type { Location } from "../payload.ts";
import { lineFailure, type Failure } from "./failure.ts";
import { answerOf } from "./json-answer.ts";
import { pauseMs } from "./pause.ts";
import type { ClientRequest, Transport } from "./transport.ts";
import { pause } from "./watch.ts";

/** A line of a batch over many groups, and whose payload it is. */
export interface BatchLine {
  readonly group: string;
  readonly id: string;
  /** As {@link encodeLine} makes it. */
  readonly bytes: Uint8Array;
}

/** What became of a payload of a batch over many groups. */
export type AppendResult =
  | { readonly kind: "stored"; readonly group: string; readonly id: string; readonly location: Location }
  | { readonly kind: "failed"; readonly group: string; readonly id: string; readonly error: PayloadStoreError };

export type BatchOptions = Pick<ClientRequest, "keepalive" | "signal"> & {
  /** It counts for each group on its own, so that a part of the batch can be sent again with it, group by group. */
  readonly idempotencyKey: string;
  readonly deadlineMs: number;
};

/**
 * Commits a batch over many groups, each group on its own. Groups that fail with something that passes are sent again
 * until the deadline, all of their lines in their order and under the same key.
 *
 * @returns a result for each line, in their order
 * @throws {PayloadStoreError} when the batch is refused as a whole, or was not answered at all; with `line` in its details
 *   where one line is at fault, and nothing was stored then
 */
export async function appendBatch(
  transport: Transport,
  tenant: string,
  lines: readonly BatchLine[],
  options: BatchOptions,
): Promise<readonly AppendResult[]> {
  const { timers, random } = transport.platform;
  const { idempotencyKey, deadlineMs, keepalive, signal } = options;
  const endMs = timers.nowMs() + deadlineMs;
  const results: AppendResult[] = [];
  let waiting = lines.map((line, place) => ({ line, place }));
  for (let number = 1; ; number++) {
    const request: ClientRequest = {
      method: "POST",
      path: `/v1/${tenant}/payloads`,
      headers: { "content-type": "application/x-ndjson", "idempotency-key": idempotencyKey },
      body: concat(waiting.map(({ line }) => line.bytes)),
      deadlineMs: Math.max(endMs - timers.nowMs(), 0),
      keepalive,
      signal,
    };
    const answers = await sendBatch(transport, request, waiting.length).catch((error: unknown) => {
      // What was stored or refused before is told; only what still waited shares this fate.
      if (number === 1 || isPayloadStoreError(error, "ABORTED")) throw error;
      return waiting.map((): LineAnswer => ({ error: error as PayloadStoreError, isTransient: false }));
    });
    const ms = pauseMs(number, undefined, random);
    const isLast = number >= transport.attempts || timers.nowMs() + ms >= endMs;
    const again: typeof waiting = [];
    for (const [i, { line, place }] of waiting.entries()) {
      const answer = answers[i]!;
      const { group, id } = line;
      if (!("error" in answer)) results[place] = { kind: "stored", group, id, location: answer.location };
      else if (answer.isTransient && !isLast) again.push({ line, place });
      else results[place] = { kind: "failed", group, id, error: answer.error };
    }
    if (again.length === 0) return results;
    waiting = again;
    await pause(timers, ms, signal);
    throwIfAborted(signal);
  }
}

type LineAnswer = { readonly location: Location } | Failure;

interface BatchAnswer {
  /** 200: all are stored. */
  readonly payloads?: readonly { readonly location: Location }[];
  /** 207: what became of each line. */
  readonly results?: readonly {
    readonly status: number;
    readonly location?: Location;
    readonly code?: string;
    readonly detail?: string;
  }[];
}

async function sendBatch(transport: Transport, request: ClientRequest, lines: number): Promise<readonly LineAnswer[]> {
  const { payloads, results } = await transport.send(request, (response) =>
    answerOf<BatchAnswer>(response, ["payloads", "results"]),
  );
  const answers =
    payloads ??
    results?.map(({ status, location, code, detail }): LineAnswer => {
      return location ? { location } : lineFailure(status, code, detail);
    });
  if (answers?.length === lines) return answers;
  throw new PayloadStoreError("INVALID", `the server answered ${answers?.length ?? "no"} results for ${lines} lines`);
}
