import { once } from "node:events";
import { Agent, type IncomingMessage, request as httpRequest } from "node:http";
import { startCeph } from "./ceph.ts";
import { faultSchedule } from "./faults.ts";
import { bodyOf, headersOf, serveLoopback, underFault } from "./loopback-server.ts";
import { requestLog, unanswered } from "./request-log.ts";
import { type LoggedS3Request, refusedBy, type S3Double, type S3FaultPlan } from "./s3-double.ts";
import type { S3Answer } from "./s3-double/bucket.ts";
import { routeRequest } from "./s3-double/route.ts";
import { s3Clients } from "./s3-server.ts";

/** What clients of Ceph are told: see {@link startCeph}. */
export const cephClientConfig = {
  requestChecksumCalculation: "WHEN_REQUIRED",
  responseChecksumValidation: "WHEN_REQUIRED",
} as const;

/**
 * Ceph's gateway behind a proxy that has the faults of the double and its log, but for those that cut a body. Requests go on as they
 * came, so that the gateway verifies what clients signed.
 *
 * @throws as {@link startCeph}
 */
export async function startFaultyCeph(): Promise<S3Double> {
  const ceph = await startCeph();
  const agent = new Agent({ keepAlive: true });
  const faults = faultSchedule<S3FaultPlan>();
  const log = requestLog<LoggedS3Request>();

  async function forward(message: IncomingMessage, body: Uint8Array): Promise<S3Answer> {
    const { "transfer-encoding": _, connection: __, expect: ___, ...headers } = message.headers;
    const { method, url: path = "/" } = message;
    const asking = httpRequest(ceph.url + path, {
      method,
      agent,
      headers: { ...headers, "content-length": body.length },
    });
    asking.end(body);
    const [answer] = (await once(asking, "response")) as [IncomingMessage];
    const {
      connection: ____,
      "keep-alive": _____,
      "transfer-encoding": ______,
      ...told
    } = Object.fromEntries(headersOf(answer));
    return { status: answer.statusCode ?? 500, headers: told, body: await bodyOf(answer) };
  }

  const proxy = await serveLoopback(async (message, response) => {
    const { operation, bucket, key, query, headers } = routeRequest(
      message.method ?? "",
      message.url ?? "",
      headersOf(message),
    );
    const subject = { operation, resource: bucket, key: key || query.get("prefix") };
    const strike = faults.next(subject);
    const fault = strike?.plan.kind;
    const note = log.add({ ...subject, range: headers.get("range"), fault, ...unanswered });
    const raw = await bodyOf(message);
    note({ requestBytes: raw.length });
    const answer = await underFault(strike, message, () => forward(message, raw), refusedBy);
    if (answer === undefined) return;
    const body = message.method === "HEAD" ? new Uint8Array(0) : (answer.body ?? "");
    response.writeHead(answer.status, { ...answer.headers });
    response.end(body);
    note({ status: answer.status, errorCode: answer.errorCode, responseBytes: body.length });
  });
  const clients = s3Clients(proxy.url, ceph.credentials, cephClientConfig);
  return {
    url: proxy.url,
    credentials: ceph.credentials,
    client: clients.client,
    freshBucket: () => ceph.freshBucket(),
    fault: (plan) => faults.add(plan),
    log,
    async close() {
      clients.destroy();
      faults.clear();
      await proxy.close();
      agent.destroy();
      await ceph.close();
    },
  };
}
