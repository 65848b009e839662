import { Agent, type ClientRequest, request } from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";
import type { FunctionUrlEvent, LambdaContext, StreamingHandler } from "../../../functions/lambda-runtime.ts";

/**
 * What Lambda's runtime for Node does between the Runtime API and a handler that streams: loads it, asks for one invocation after the
 * other, and sends what it writes as it writes it. Our own, after the documentation of custom runtimes and what AWS's client does.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 *
 * It runs in a process of its own, with the environment that Lambda sets.
 */
const [hostname = "", port = ""] = (process.env["AWS_LAMBDA_RUNTIME_API"] ?? "").split(":");
const base = "/2018-06-01/runtime";
// One connection at a time, as the runtime has it.
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
let requestId = "";

/** The log format JSON: what is written to the console becomes one object a line. */
for (const level of ["debug", "info", "log", "warn", "error"] as const) {
  console[level] = (...values: readonly unknown[]) => {
    const message = values.length === 1 ? values[0] : format(...values);
    const name = level === "log" ? "INFO" : level.toUpperCase();
    process.stdout.write(
      `${JSON.stringify({ timestamp: new Date().toISOString(), level: name, requestId, message })}\n`,
    );
  };
}

const headOf = Symbol("head");

interface Stream extends ClientRequest {
  [headOf]?: object;
}

Object.assign(globalThis, {
  awslambda: {
    streamifyResponse: (handler: StreamingHandler) => handler,
    HttpResponseStream: {
      from(stream: Stream, head: object): Stream {
        stream.setHeader("content-type", "application/vnd.awslambda.http-integration-response");
        stream[headOf] = head;
        return stream;
      },
    },
  },
});

let handler: StreamingHandler;
try {
  const [file = "", name = ""] = (process.env["_HANDLER"] ?? "").split(".");
  const url = pathToFileURL(path.join(process.env["LAMBDA_TASK_ROOT"] ?? "", `${file}.mjs`)).href;
  handler = ((await import(url)) as Readonly<Record<string, StreamingHandler>>)[name]!;
} catch (error) {
  await post("init/error", error).catch(() => {});
  process.exit(1);
}
for (;;) await serve(handler);

async function serve(handle: StreamingHandler): Promise<void> {
  const { event, context } = await next();
  const { stream, accepted } = openStream(context.awsRequestId);
  // Whoever waits for it hears of it.
  accepted.catch(() => {});
  try {
    await handle(event, stream, context);
    await accepted;
    if (!stream.writableFinished) throw new Error("the response stream is not finished");
  } catch (error) {
    console.error("Invoke Error", error instanceof Error ? error.message : error);
    if (stream.destroyed) return;
    stream.addTrailers({
      "Lambda-Runtime-Function-Error-Type": errorOf(error).errorType,
      "Lambda-Runtime-Function-Error-Body": Buffer.from(JSON.stringify(errorOf(error))).toString("base64"),
    });
    stream.end();
    await accepted.catch(() => {});
  }
}

async function next(): Promise<{ readonly event: FunctionUrlEvent; readonly context: LambdaContext }> {
  const { headers, body } = await answerTo(request({ hostname, port, agent, path: `${base}/invocation/next` }).end());
  requestId = String(headers["lambda-runtime-aws-request-id"]);
  const deadlineMs = Number(headers["lambda-runtime-deadline-ms"]);
  const context = { awsRequestId: requestId, getRemainingTimeInMillis: () => deadlineMs - Date.now() };
  return { event: JSON.parse(body) as FunctionUrlEvent, context };
}

/** The connection to the API is the stream: what is written goes out at once, and `drain` comes when it is taken. */
function openStream(id: string): { readonly stream: Stream; readonly accepted: Promise<unknown> } {
  const stream: Stream = request({
    hostname,
    port,
    agent,
    method: "POST",
    path: `${base}/invocation/${id}/response`,
    headers: {
      "Lambda-Runtime-Function-Response-Mode": "streaming",
      "Transfer-Encoding": "chunked",
      Trailer: "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
      "Content-Type": "application/octet-stream",
    },
  });
  const write = stream.write.bind(stream) as (piece: Uint8Array | string) => boolean;
  stream.write = (piece: Uint8Array | string): boolean => {
    const head = stream[headOf];
    if (head !== undefined) {
      delete stream[headOf];
      write(JSON.stringify(head));
      write(new Uint8Array(8));
    }
    return write(piece);
  };
  return { stream, accepted: answerTo(stream) };
}

async function post(route: string, error: unknown): Promise<void> {
  const body = JSON.stringify(errorOf(error));
  const headers = { "Lambda-Runtime-Function-Error-Type": errorOf(error).errorType };
  await answerTo(request({ hostname, port, agent, method: "POST", path: `${base}/${route}`, headers }).end(body));
}

function answerTo(
  sent: ClientRequest,
): Promise<{ readonly headers: NodeJS.Dict<string | string[]>; readonly body: string }> {
  return new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (piece: string) => (body += piece));
      response.on("end", () => resolve({ headers: response.headers, body }));
      response.on("aborted", () => reject(new Error("the Runtime API broke off")));
    });
  });
}

function errorOf(error: unknown): { readonly errorType: string; readonly errorMessage: string } {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error) };
  return { errorType: error.name, errorMessage: error.message };
}
