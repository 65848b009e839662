import { isPayloadStoreError } from "../core/errors.ts";
import { problemOf } from "./http-errors.ts";
import type { LambdaRuntime, ResponseStream } from "./lambda-runtime.ts";

/** How an answer went out. */
export interface Sent {
  readonly status: number;
  /** Of the body, in bytes. */
  readonly bytes: number;
  /** Why the body could not be sent to its end. */
  readonly failure?: unknown;
  /** Whether the client has got a part of the body all the same. */
  readonly broken: boolean;
}

/**
 * Sends an answer as fast as it is taken, and no faster. One piece of its body is in memory at a time. The stream is not
 * ended yet.
 *
 * A body that fails at once is answered with the problem. Later the status has gone out: an answer of lines is then ended
 * by one more, which is a problem document, since it is not said anywhere that Lambda breaks the client's connection off. Of
 * other bodies the length was announced.
 *
 * @param signal  ends the answer before its body does, for its reason
 */
export async function sendResponse(
  response: Response,
  stream: ResponseStream,
  runtime: LambdaRuntime,
  signal: AbortSignal,
): Promise<Sent> {
  const { status } = response;
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  const read = async (): Promise<Uint8Array | undefined> =>
    reader && (await unlessAborted(reader.read(), signal)).value;
  let out: ResponseStream | undefined;
  let bytes = 0;
  try {
    let piece = await read();
    out = begin(response, stream, runtime);
    for (; piece !== undefined; piece = await read()) {
      bytes += piece.length;
      if (!out.write(piece)) await unlessAborted(drained(out), signal);
    }
    return { status, bytes, broken: false };
  } catch (failure) {
    // Whoever makes the body is told to stop, and not waited for.
    void reader?.cancel(failure).catch(() => {});
    const problem = problemOf(failure);
    const line = await problem.clone().text();
    if (out === undefined) {
      begin(problem, stream, runtime).write(line);
      return { status: problem.status, bytes: Buffer.byteLength(line), failure, broken: false };
    }
    if (response.headers.get("content-type") === "application/x-ndjson") out.write(line);
    return { status, bytes, failure, broken: true };
  }
}

/** Whether the client is gone, and there is nobody left to tell anything. */
export function clientIsGone({ failure }: Sent): boolean {
  return isPayloadStoreError(failure, "ABORTED");
}

/** The runtime sends the head with the first write, so there is one of nothing, for bodies that are empty. */
function begin(response: Response, stream: ResponseStream, { HttpResponseStream }: LambdaRuntime): ResponseStream {
  const headers = Object.fromEntries(response.headers);
  const out = HttpResponseStream.from(stream, { statusCode: response.status, headers });
  out.write("");
  return out;
}

function drained(stream: ResponseStream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const listener = (): void => {
    stream.off("drain", listener);
    resolve();
  };
  stream.on("drain", listener);
  return promise;
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", abort));
}
