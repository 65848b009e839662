import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { FunctionUrlEvent } from "../../../functions/lambda-runtime.ts";
import { bodyOf, serveLoopback } from "../aws/loopback-server.ts";

/** What a function has answered, from the moment its status is known. */
export interface LambdaAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Taken from the function no faster than it is read here. Ends in an error when the process ends first. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The error in the trailers, once the body was read to its end; `undefined` when the function came to its end well. */
  readonly failure: () => { readonly errorType: string; readonly errorMessage: string } | undefined;
}

export interface RuntimeApi {
  /** Host and port, for `AWS_LAMBDA_RUNTIME_API`. */
  readonly address: string;
  /** Resolves when the runtime asks for an invocation for the first time, so after the function's own start. */
  readonly started: Promise<void>;
  /** Hands an event to the runtime when it asks for one. `deadlineMs`: when its time will be over, since 1970. */
  invoke(event: FunctionUrlEvent, deadlineMs: number): Promise<LambdaAnswer>;
  /** Ends with an error what was not answered. */
  abandon(error: Error): void;
  close(): Promise<void>;
}

interface Invocation {
  readonly id: string;
  readonly event: FunctionUrlEvent;
  readonly deadlineMs: number;
  readonly answered: PromiseWithResolvers<LambdaAnswer>;
}

/**
 * Lambda's side of the Runtime API, for one process: it hands out one invocation at a time, and reads answers that are streamed.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
export async function startRuntimeApi(): Promise<RuntimeApi> {
  const waiting: Invocation[] = [];
  const running = new Map<string, Invocation>();
  const started = Promise.withResolvers<void>();
  started.promise.catch(() => {});
  let idle: ServerResponse | undefined;

  const handOut = (): void => {
    if (idle === undefined || idle.destroyed) return;
    const invocation = waiting.shift();
    if (invocation === undefined) return;
    running.set(invocation.id, invocation);
    idle.writeHead(200, {
      "content-type": "application/json",
      "lambda-runtime-aws-request-id": invocation.id,
      "lambda-runtime-deadline-ms": String(invocation.deadlineMs),
      "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-1:123456789012:function:api",
      "lambda-runtime-trace-id": "Root=1-00000000-000000000000000000000000;Sampled=0",
    });
    idle.end(JSON.stringify(invocation.event));
    idle = undefined;
  };

  const abandon = (error: Error): void => {
    started.reject(error);
    for (const { answered } of [...waiting.splice(0), ...running.values()]) answered.reject(error);
    running.clear();
  };

  const server = await serveLoopback(async (message, response) => {
    const route = (message.url ?? "").replace("/2018-06-01/runtime/", "");
    if (route === "invocation/next") {
      idle = response;
      started.resolve();
      handOut();
      return;
    }
    const [, id = "", what] = /^invocation\/([^/]+)\/(response|error)$/.exec(route) ?? [];
    const invocation = running.get(id);
    running.delete(id);
    if (route === "init/error" || what === "error") {
      const error = new Error(`the function failed: ${Buffer.from(await bodyOf(message)).toString()}`);
      if (route === "init/error") abandon(error);
      invocation?.answered.reject(error);
    } else if (invocation !== undefined) {
      const answer = await readAnswer(message);
      invocation.answered.resolve(answer);
      // The next invocation is asked for once this one was taken whole.
      await once(message, "end");
    }
    response.writeHead(202, { "content-type": "application/json" }).end('{"status":"OK"}');
  });

  return {
    address: server.url.replace("http://", ""),
    started: started.promise,
    invoke(event, deadlineMs) {
      const invocation = { id: randomUUID(), event, deadlineMs, answered: Promise.withResolvers<LambdaAnswer>() };
      waiting.push(invocation);
      handOut();
      return invocation.answered.promise;
    },
    abandon,
    close: () => server.close(),
  };
}

/**
 * An answer as `application/vnd.awslambda.http-integration-response`: a JSON head, 8 bytes of zero, the body. Anything else is what
 * Lambda answers with 502.
 */
async function readAnswer(message: IncomingMessage): Promise<LambdaAnswer> {
  const pieces = message[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let start = Buffer.alloc(0);
  let end = -1;
  while (end === -1) {
    const { value, done } = await pieces.next();
    if (done === true) break;
    start = Buffer.concat([start, value]);
    end = start.indexOf(delimiter);
  }
  const failure = () => failureIn(message.trailers);
  const isStreamed = message.headers["lambda-runtime-function-response-mode"] === "streaming";
  const type = message.headers["content-type"];
  if (!isStreamed || type !== "application/vnd.awslambda.http-integration-response" || end === -1) {
    return { status: 502, headers: {}, body: only(start), failure };
  }
  const { statusCode, headers } = JSON.parse(start.subarray(0, end).toString()) as {
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, string>>;
  };
  return { status: statusCode, headers, body: after(start.subarray(end + delimiter.length), pieces), failure };
}

const delimiter = Buffer.alloc(8);

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* after(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (first.length > 0) yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    // Who stops in the middle cuts the connection.
    await rest.return?.();
  }
}

function failureIn(trailers: NodeJS.Dict<string>): ReturnType<LambdaAnswer["failure"]> {
  const body = trailers["lambda-runtime-function-error-body"];
  if (body === undefined) return undefined;
  return JSON.parse(Buffer.from(body, "base64").toString()) as ReturnType<LambdaAnswer["failure"]>;
}

async function once(message: IncomingMessage, event: "end"): Promise<void> {
  if (message.readableEnded) return;
  await new Promise<void>((resolve, reject) => {
    message.once(event, resolve);
    message.once("close", () => reject(new Error("the function broke off")));
  });
}
