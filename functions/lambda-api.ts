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
  /** Opens the store ahead of the first request. A failure is logged, and the request tries again: it never rejects. */
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
  let opening: Promise<Hono> | undefined;

  const app = (): Promise<Hono> => {
    opening ??= open().then(
      ({ store, access }) => createApp(store, { access, scans: false, report: () => {}, failed: logFault }),
      (error: unknown) => {
        opening = undefined;
        console.error(failedToOpen(error));
        throw new PayloadStoreError("UNAVAILABLE", "the store cannot be opened; the log of the server says why");
      },
    );
    return opening;
  };

  const answer = async (event: FunctionUrlEvent): Promise<Response> => {
    try {
      const request = requestOf(event);
      return await (await app()).fetch(request);
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
      sendResponse(await answer(event), stream, runtime, signal),
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
  };

  return { warmUp: async () => void (await app().catch(() => {})), handle };
}

/** Shorter than the 10 s that Lambda gives a process before its first request, or it would be ended without a word of why. */
const warmUpMsMax = 8_000;

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
  const timer = setTimeout(late, context.getRemainingTimeInMillis() - farewellMs);
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
