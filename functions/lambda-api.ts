import { setTimeout } from "node:timers/promises";
import type { Hono } from "hono";
import { isPayloadStoreError, PayloadStoreError } from "../core/errors.ts";
import { createApp } from "./app.ts";
import { emfLine } from "./emf.ts";
import { problemOf } from "./http-errors.ts";
import { failedToOpen, faultOf } from "./lambda-log.ts";
import { requestOf } from "./lambda-request.ts";
import { clientIsGone, sendResponse, type Sent } from "./lambda-response.ts";
import type {
  FunctionUrlEvent,
  LambdaContext,
  LambdaRuntime,
  ResponseStream,
  StreamingHandler,
} from "./lambda-runtime.ts";
import type { LambdaBackend } from "./lambda-store.ts";
import { templateOf } from "./route-table.ts";

export interface LambdaApiOptions {
  readonly runtime: LambdaRuntime;
  /** @param remainingMs  what is left to whoever asks something of the backend */
  readonly backend: (remainingMs: () => number) => LambdaBackend;
  readonly functionName: string;
}

export interface LambdaApi {
  /**
   * Opens the store ahead of the first request, all but the bucket: that is asked for behind the first answer. A failure is logged,
   * and the next request tries again: it never rejects.
   */
  warmUp(): Promise<void>;
  readonly handle: StreamingHandler;
}

/**
 * The HTTP face behind a Lambda function URL. docs/operations.md.
 *
 * A process serves one request at a time. It keeps its store from one to the next, and opens it again if that failed.
 */
export function lambdaApi({ runtime, backend, functionName }: LambdaApiOptions): LambdaApi {
  const warmUpEndMs = Date.now() + warmUpMsMax;
  let remainingMs = (): number => warmUpEndMs - Date.now();
  const { open, meter } = backend(() => remainingMs());
  let isFirst = true;
  let opening: Promise<Opened> | undefined;
  let checking: Promise<void> | undefined;

  const cannotOpen = (error: unknown): never => {
    console.error(failedToOpen(error));
    throw new PayloadStoreError("UNAVAILABLE", "the store cannot be opened; the log of the server says why");
  };

  const opened = (): Promise<Opened> => {
    opening ??= open().then(
      ({ store, access }) => {
        const app = createApp(store, { access, scans: false, report: () => {}, failed: logFault });
        return { app, checkBucket: () => store.checkBucket() };
      },
      (error: unknown) => {
        opening = undefined;
        return cannotOpen(error);
      },
    );
    return opening;
  };

  /** Asks for the bucket once, and again after a failure. */
  const bucketIsThere = async (): Promise<void> => {
    const { checkBucket } = await opened();
    checking ??= checkBucket().catch((error: unknown) => {
      checking = undefined;
      return cannotOpen(error);
    });
    return checking;
  };

  const answer = async (event: FunctionUrlEvent, coldStart: boolean): Promise<Response> => {
    try {
      const request = requestOf(event);
      const { app } = await opened();
      // The first answer does not wait for the SDK of S3, which few need; all others know that the bucket is there.
      if (!coldStart) await bucketIsThere();
      return await app.fetch(request);
    } catch (error) {
      if (!isPayloadStoreError(error)) logFault(error);
      const problem = problemOf(error);
      return event.requestContext.http.method === "HEAD" ? new Response(null, problem) : problem;
    }
  };

  const handle = async (event: FunctionUrlEvent, stream: ResponseStream, context: LambdaContext): Promise<void> => {
    const startMs = performance.now();
    const coldStart = isFirst;
    isFirst = false;
    remainingMs = () => context.getRemainingTimeInMillis();
    const sent = await withinTime(context, stream, async (signal) =>
      sendResponse(await answer(event, coldStart), stream, runtime, signal),
    );
    process.stdout.write(
      emfLine(functionName, Date.now(), {
        requestId: context.awsRequestId,
        method: event.requestContext.http.method,
        route: templateOf(event.rawPath) ?? "none",
        status: sent.status,
        broken: sent.broken,
        coldStart,
        latencyMs: performance.now() - startMs,
        requestBytes: Buffer.byteLength(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8"),
        responseBytes: sent.bytes,
        asked: meter.counts(),
      }),
    );
    meter.reset();
    if (sent.failure !== undefined && !clientIsGone(sent)) {
      logFault(sent.failure);
      // The runtime ends the stream with the error in a trailer, and logs its message.
      if (sent.broken) throw new Error("an answer broke off in the middle");
    }
    stream.end();
    if (!coldStart || opening === undefined) return;
    // Not at once: what is loaded now would hold up the end of the answer. And not later: a process that returned is frozen.
    await setTimeout(departureMs);
    await bucketIsThere().catch(() => {});
  };

  return { warmUp: async () => void (await opened().catch(() => {})), handle };
}

interface Opened {
  readonly app: Hono;
  readonly checkBucket: () => Promise<void>;
}

/** Shorter than the 10 s that Lambda gives a process before its first request, or it would be ended without a word of why. */
const warmUpMsMax = 8_000;

/** By then a first answer is on its way, in milliseconds. */
const departureMs = 25;

/** What is kept of an invocation's time to say that it ran out. Requests to AWS end before that. */
const farewellMs = 250;

function logFault(error: unknown): void {
  console.error({ message: "a request failed", ...faultOf(error) });
}

/** Gives work a signal that fires when the client is gone, or shortly before Lambda stops the process. */
async function withinTime(
  context: LambdaContext,
  stream: ResponseStream,
  work: (signal: AbortSignal) => Promise<Sent>,
): Promise<Sent> {
  const controller = new AbortController();
  const gone = (): void => controller.abort(new PayloadStoreError("ABORTED", "the client went away"));
  const late = (): void => controller.abort(new PayloadStoreError("UNAVAILABLE", "the time of the request ran out"));
  const timer = globalThis.setTimeout(late, context.getRemainingTimeInMillis() - farewellMs);
  stream.on("close", gone);
  stream.on("error", gone);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    stream.off("close", gone);
    stream.off("error", gone);
  }
}
