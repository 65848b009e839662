import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Connection } from "../http/connection.ts";
import type { ServerAnswer, ServerQuestion } from "../http/server.ts";
import { latency, type Latency } from "../spread.ts";
import { picks, Work, type WorkKey } from "../work.ts";

export const servers = ["paylode", "hello"] as const;

export interface HttpTask {
  readonly measure: "http";
  readonly server: (typeof servers)[number];
  readonly directory: string;
  readonly payloads: number;
}

export interface Requests {
  readonly perSecond: number;
  /** Of one request as its client sees it, in µs. */
  readonly latency: Latency;
  /** Time that the server's process computed for each request, in µs. */
  readonly serverMicros: number;
}

export interface HttpResult {
  readonly put: Requests;
  readonly get: Requests;
}

const connections = 64;
const comparedEvery = 64;

/** This process is the client, the server has one of its own. PUTs of all payloads, then as many GETs at random. */
export async function measureHttp({ server: kind, directory, payloads }: HttpTask): Promise<HttpResult> {
  const work = new Work(payloads);
  const server = fork(fileURLToPath(new URL("../http/server.ts", import.meta.url)), [kind, directory]);
  const { url } = (await nextMessage(server)) as { url: string };
  const clients = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)));
  const host = new URL(url).host;

  const run = async (items: Iterator<number>, ask: (client: Connection, i: number, n: number) => Promise<void>) => {
    const micros = new Float64Array(payloads);
    let done = 0;
    const cpuBefore = await cpuMs(server);
    const start = performance.now();
    await Promise.all(
      clients.map(async (client) => {
        for (let next = items.next(); !next.done; next = items.next()) {
          const n = done++;
          const asked = performance.now();
          await ask(client, next.value, n);
          micros[n] = (performance.now() - asked) * 1000;
        }
      }),
    );
    const seconds = (performance.now() - start) / 1000;
    const serverMicros = (((await cpuMs(server)) - cpuBefore) * 1000) / payloads;
    return { perSecond: payloads / seconds, latency: latency(micros), serverMicros };
  };

  const put = await run(Array.from({ length: payloads }, (_, i) => i).values(), async (client, i) => {
    const bytes = work.bytes(i);
    const head = `PUT ${pathOf(work.key(i))} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n`;
    const answer = await client.ask(`${head}content-length: ${bytes.length}\r\n\r\n`, bytes);
    assert.equal(answer.status, 200);
  });
  const get = await run(picks(4, payloads, payloads), async (client, i, n) => {
    const answer = await client.ask(`GET ${pathOf(work.key(i))} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    assert.equal(answer.status, 200);
    if (n % comparedEvery > 0) return;
    const expected = kind === "hello" ? Buffer.from("hello") : Buffer.from(work.bytes(i));
    assert.deepEqual(answer.body, expected);
  });

  for (const client of clients) client.close();
  ask(server, "stop");
  await once(server, "exit");
  assert.equal(server.exitCode, 0, "the server ended in good order");
  return { put, get };
}

function pathOf({ group, id }: WorkKey): string {
  return `/v1/bench/groups/${group}/payloads/${id}`;
}

async function cpuMs(server: ChildProcess): Promise<number> {
  const answer = nextMessage(server);
  ask(server, "cpu");
  return ((await answer) as { cpuMs: number }).cpuMs;
}

function ask(server: ChildProcess, question: ServerQuestion): void {
  server.send(question);
}

async function nextMessage(server: ChildProcess): Promise<ServerAnswer> {
  const gone = once(server, "exit").then(() => {
    throw new Error("the server ended before it answered");
  });
  gone.catch(() => {});
  const [answer] = (await Promise.race([once(server, "message"), gone])) as [ServerAnswer];
  return answer;
}
