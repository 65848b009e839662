import { createHash, randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpLimits } from "../../functions/http-limits.ts";
import { eventOf, responseOf, type UrlRequest } from "../support/lambda/function-url.ts";
import { ask, lambdaUnderTest, type LambdaUnderTest } from "../support/lambda/lambda-under-test.ts";
import type { Sandbox } from "../support/lambda/sandbox.ts";

/**
 * The function's processes, from the outside: the bundle that is deployed, run as Lambda runs it, on an S3 double and dynalite.
 * What docs/http.md promises of it is in http-api.test.ts.
 */
let lambda: LambdaUnderTest;
let sandbox: Sandbox;
let token: string;
let groups = 0;

beforeAll(async () => {
  lambda = await lambdaUnderTest();
  [sandbox, token] = await Promise.all([lambda.start(), lambda.token("acme")]);
});
afterAll(() => lambda.close());

const newGroup = (): string => `run-${(groups += 1)}`;
const pathOf = (group: string, id = "a"): string => `/v1/acme/groups/${group}/payloads/${id}`;
const put = (group: string, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): UrlRequest => ({
  method: "PUT",
  target: pathOf(group),
  headers: { "content-type": "application/octet-stream", ...headers },
  body,
});
const get = (group: string): UrlRequest => ({ method: "GET", target: pathOf(group) });
const keyed = (request: UrlRequest) =>
  eventOf({ ...request, headers: { authorization: `Bearer ${token}`, ...request.headers } });
/** A commit too large for a row: a segment is put, then the row. */
const large = (): Uint8Array => new Uint8Array(randomBytes(50_000));
const pageOf = (group: string): RegExp => new RegExp(`^acme/${group}#`);

/** Why an invocation came to nothing. */
async function reasonOf(invocation: Promise<unknown>): Promise<string> {
  try {
    await invocation;
    return "it was answered";
  } catch (error) {
    return (error as Error).message;
  }
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}

describe("an event", () => {
  test("in base64 and one in text are stored byte for byte", async () => {
    const [binary, text] = [newGroup(), newGroup()];
    const bytes = new Uint8Array(randomBytes(10_000));
    const words = new TextEncoder().encode("\ufeffhéllo 👩‍🚀\r\n\0");

    await ask(sandbox, token, put(binary, bytes));
    await ask(sandbox, token, put(text, words, { "content-type": "text/plain" }));

    expect(keyed(put(binary, bytes)).isBase64Encoded).toBe(true);
    expect(keyed(put(text, words, { "content-type": "text/plain" })).isBase64Encoded).toBe(false);
    expect(await bytesOf(await ask(sandbox, token, get(binary)))).toEqual(bytes);
    expect(await bytesOf(await ask(sandbox, token, get(text)))).toEqual(words);
  });

  test("with 8 KB of headers, cookies and attributes is like any other", async () => {
    const group = newGroup();
    const attributes = new URLSearchParams({ note: "é".repeat(600) }).toString();
    const headers = { "x-long": "x".repeat(8_000 - attributes.length), "paylode-attributes": attributes };

    const stored = await ask(sandbox, token, { ...put(group, new Uint8Array(1), headers), cookies: ["a=1", "b=2"] });
    const read = await ask(sandbox, token, get(group));

    expect(stored.status).toBe(200);
    expect(read.headers.get("paylode-attributes")).toBe(attributes);
  });

  test.each([
    ["..", "/v1/acme/groups/g/payloads/.."],
    [". spelled otherwise", "/v1/acme/groups/g/payloads/%2e"],
    [".. spelled otherwise", "/v1/acme/groups/g/%2e%2E/x"],
    ["an encoding that is cut off", "/v1/acme/groups/g/payloads/a%2"],
    ["no UTF-8", "/v1/acme/groups/g/payloads/%ff"],
    ["an empty segment", "/v1/acme/groups//payloads/a"],
    ["a backslash", "/v1/acme/groups/g/payloads/a\\b"],
    ["what was decoded", "/v1/acme/groups/g/payloads/é"],
  ])("whose path has %s is refused", async (_what, target) => {
    const response = await ask(sandbox, token, { method: "GET", target });

    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "INVALID", field: "path" });
  });

  test.each(["a%2Fb", "a%00b", "%252F", "..."])("whose id is %s names that id", async (id) => {
    const group = newGroup();
    const target = pathOf(group, id);

    await ask(sandbox, token, { method: "PUT", target, body: new Uint8Array([1]) });
    const list = await ask(sandbox, token, { method: "GET", target: `/v1/acme/groups/${group}/payloads` });

    expect(await list.json()).toMatchObject({ payloads: [{ id: decodeURIComponent(id) }] });
  });

  test("that is too long is refused with the way around, alone and as a batch", async () => {
    const body = new Uint8Array(httpLimits.lambdaBodyBytesMax + 1);
    const batch: UrlRequest = { method: "POST", target: "/v1/acme/payloads", body };

    for (const request of [put(newGroup(), body), batch]) {
      const response = await ask(sandbox, token, request);

      expect(response.status).toBe(413);
      expect(await response.json()).toMatchObject({
        code: "TOO_LARGE",
        bytesMax: httpLimits.lambdaBodyBytesMax,
        detail: expect.stringContaining("payloads/{id}/upload"),
      });
    }
  });

  test("whose text is not what was sent is refused", async () => {
    const group = newGroup();
    const sent = put(group, new Uint8Array([0xff]), { "content-type": "text/plain" });

    const response = await responseOf(await sandbox.invoke(keyed(sent)));

    expect(keyed(sent).body).toBe("\ufffd");
    expect(response.status).toBe(400);
    expect((await ask(sandbox, token, get(group))).status).toBe(404);
  });
});

describe("a long payload", () => {
  test("streams: it is read from S3 no faster than the client takes it", async () => {
    const group = newGroup();
    const bytes = new Uint8Array(randomBytes(20_000_000));
    const store = await lambda.openStore();
    await store.append({ tenant: "acme", group, id: "a" }, bytes, { codec: "none" });
    const { log } = lambda.servers.s3;
    log.clear();

    const answer = await sandbox.invoke(keyed(get(group)));
    const hash = createHash("sha256");
    let length = 0;
    let readWhileWaiting = 0;
    for await (const piece of answer.body) {
      if (length === 0) {
        await setTimeout(500);
        readWhileWaiting = log.entries({ operation: "GetObject" }).reduce((sum, each) => sum + each.responseBytes, 0);
      }
      length += piece.length;
      hash.update(piece);
    }

    expect(answer.headers["content-length"]).toBe("20000000");
    expect(readWhileWaiting).toBeGreaterThan(0);
    expect(readWhileWaiting).toBeLessThan(bytes.length - 4_194_304);
    expect(length).toBe(bytes.length);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(answer.failure()).toBeUndefined();
  });

  test("is read no further when the client goes away, and the process serves on", async () => {
    const group = newGroup();
    const bytes = new Uint8Array(randomBytes(20_000_000));
    await (await lambda.openStore()).append({ tenant: "acme", group, id: "a" }, bytes, { codec: "none" });
    const { log } = lambda.servers.s3;
    log.clear();

    const answer = await sandbox.invoke(keyed(get(group)));
    for await (const _piece of answer.body) break;
    const next = await ask(sandbox, token, get(newGroup()));

    expect(next.status).toBe(404);
    const read = log.entries({ operation: "GetObject" }).reduce((sum, each) => sum + each.responseBytes, 0);
    expect(read).toBeLessThan(bytes.length);
    expect(metrics(sandbox).at(-2)).toMatchObject({ Broken: 1, status: 200 });
  });
});

describe("an export that fails in the middle", () => {
  test("ends in a line that is the problem, and in an error of the function", async () => {
    const group = newGroup();
    const line = (id: string): string =>
      `{"id":"${id}","base64":"${Buffer.from(randomBytes(90_000)).toString("base64")}"}`;
    for (const id of ["sent", "read ahead", "damaged"]) {
      const body = new TextEncoder().encode(line(id));
      await ask(sandbox, token, { method: "POST", target: `/v1/acme/groups/${group}/payloads`, body });
    }
    const { s3, clients } = lambda.servers;
    const { key = "" } = s3.log.entries({ operation: "PutObject" }).at(-1)!;
    const object = { Bucket: lambda.place.bucket, Key: key };
    const body = await (await clients.s3.send(new GetObjectCommand(object))).Body!.transformToByteArray();
    body[body.length >> 1]! ^= 1;
    await clients.s3.send(new PutObjectCommand({ ...object, Body: body }));

    const fresh = await lambda.start();
    const target = `/v1/acme/groups/${group}/payloads?include=data`;
    const answer = await fresh.invoke(keyed({ method: "GET", target }));
    const pieces: Uint8Array[] = [];
    for await (const piece of answer.body) pieces.push(piece);
    const lines = Buffer.concat(pieces).toString().trimEnd().split("\n");

    expect(answer.status).toBe(200);
    expect(lines.map((text) => JSON.parse(text) as object)).toMatchObject([{ id: "sent" }, { code: "CORRUPT" }]);
    expect(answer.failure()).toEqual({ errorType: "Error", errorMessage: "an answer broke off in the middle" });
    expect(metrics(fresh).at(-1)).toMatchObject({ Broken: 1 });
    expect((await ask(fresh, token, get(newGroup()))).status).toBe(404);
  });
});

describe("a store that cannot be opened", () => {
  test.each([
    ["table", { table: "no-such-table" }, "opening table no-such-table failed: there is no such table"],
    ["variable", { table: "" }, "the variable PAYLODE_TABLE is not set"],
  ])("is 503 to the caller, and the log names the %s", async (_what, place, message) => {
    const broken = await lambda.start(place);

    const response = await ask(broken, token, get(newGroup()));

    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    const problem = await response.text();
    expect(JSON.parse(problem)).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    expect(problem).not.toMatch(/no-such|PAYLODE_/);
    // At the start, and at the request.
    expect(broken.log.filter((line) => line.includes(message))).toHaveLength(2);
  });

  test("for want of its bucket serves what needs none once, names it in the log, then is 503", async () => {
    const broken = await lambda.start({ bucket: "no-such-bucket" });
    const group = newGroup();

    const first = await ask(broken, token, put(group, new Uint8Array(100)));
    const others = [
      await ask(broken, token, get(group)),
      await ask(broken, token, { method: "GET", target: "/healthz" }),
    ];

    expect(first.status).toBe(200);
    expect(others.map(({ status }) => status)).toEqual([503, 503]);
    expect(await others[0]!.text()).not.toContain("no-such");
    const message = "opening bucket no-such-bucket failed: there is no such bucket";
    // Behind the first answer, and at each request.
    expect(broken.log.filter((line) => line.includes(message))).toHaveLength(3);
  });

  test("is opened by the next request that can", async () => {
    const denied = lambda.servers.dynamo.fault({
      kind: "access-denied",
      operation: "GetItem",
      key: "~store#0",
      times: 2,
    });
    const broken = await lambda.start();

    const first = await ask(broken, token, get(newGroup()));
    const second = await ask(broken, token, get(newGroup()));

    expect(denied.hits).toBe(2);
    expect(broken.log.join("\n")).toContain("permission is denied");
    expect([first.status, second.status]).toEqual([503, 404]);
  });
});

describe("a process", () => {
  test("that ends between the segment and the commit leaves nothing to be seen, and the request can be repeated", async () => {
    const group = newGroup();
    const bytes = large();
    const request = keyed(put(group, bytes, { "idempotency-key": "request-1" }));
    const { s3, dynamo } = lambda.servers;
    s3.log.clear();
    const commit = dynamo.fault({ kind: "hold", operation: "PutItem", key: pageOf(group) });
    const dying = await lambda.start();

    const lost = reasonOf(dying.invoke(request));
    await commit.struck;
    await dying.kill();
    const segments = s3.log.count({ operation: "PutObject" });
    const between = await ask(sandbox, token, get(group));
    const repeated = await responseOf(await sandbox.invoke(request));
    // The commit of the dead process was on its way, and comes late.
    commit.release();

    expect(await lost).toContain("the process ended (SIGKILL)");
    expect(segments).toBe(1);
    expect(between.status).toBe(404);
    expect(repeated.status).toBe(200);
    expect(await bytesOf(await ask(sandbox, token, get(group)))).toEqual(bytes);
    await expect.poll(() => dynamo.log.entries({ operation: "PutItem", key: pageOf(group) })[0]?.status).toBe(400);
    expect(await bytesOf(await ask(sandbox, token, get(group)))).toEqual(bytes);
  });

  test("that is ended at its time, and asked again with the same key, has stored once", async () => {
    const group = newGroup();
    const request = keyed(put(group, large(), { "idempotency-key": "request-1" }));
    const commit = lambda.servers.dynamo.fault({
      kind: "hold",
      when: "after",
      operation: "PutItem",
      key: pageOf(group),
    });
    const slow = await lambda.start();

    const lost = reasonOf(slow.invoke(request));
    await commit.struck;
    await expect.poll(async () => (await ask(sandbox, token, get(group))).status).toBe(200);
    await slow.kill();
    const again = await responseOf(await sandbox.invoke(request));
    const deleted = await ask(sandbox, token, { method: "DELETE", target: pathOf(group) });
    const third = await responseOf(await sandbox.invoke(request));

    expect(await lost).toContain("the process ended (SIGKILL)");
    expect([again.status, deleted.status, third.status]).toEqual([200, 204, 200]);
    expect(await third.json()).toEqual(await again.json());
    expect((await ask(sandbox, token, get(group))).status).toBe(404);
  });

  test("answers before its time is over, and says that the outcome is unknown", async () => {
    const group = newGroup();
    lambda.servers.dynamo.fault({ kind: "timeout", operation: "PutItem", key: pageOf(group), times: Infinity });
    const hurried = await lambda.start();

    const startMs = performance.now();
    const answer = await responseOf(await hurried.invoke(keyed(put(group, large())), { timeoutMs: 2_000 }));

    expect(performance.now() - startMs).toBeLessThan(2_000);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: "UNAVAILABLE" });
    // The next invocation has its own time.
    expect((await ask(hurried, token, put(newGroup(), large()))).status).toBe(200);
  });

  test("that is frozen for two seconds goes on, and commits", async () => {
    const group = newGroup();
    const bytes = large();
    const { s3 } = lambda.servers;
    const segment = s3.fault({ kind: "hold", when: "after", operation: "PutObject" });
    const frozen = await lambda.start();

    const answered = frozen.invoke(keyed(put(group, bytes)));
    await segment.struck;
    frozen.freeze();
    segment.release();
    await setTimeout(2_000);
    const before = await ask(sandbox, token, get(group));
    frozen.thaw();
    const stored = await responseOf(await answered);

    expect([before.status, stored.status]).toEqual([404, 200]);
    expect(await bytesOf(await ask(sandbox, token, get(group)))).toEqual(bytes);
  });

  test("that was frozen for longer than any process may live commits nothing", async () => {
    const group = newGroup();
    const { s3 } = lambda.servers;
    const segment = s3.fault({ kind: "hold", when: "after", operation: "PutObject" });
    const frozen = await lambda.start();
    const minutes = 60_000;

    const answered = frozen.invoke(keyed(put(group, large())));
    await segment.struck;
    frozen.freeze();
    // To the process, it is as if its own clock had stood still; the servers' says that it has.
    lambda.advance(21 * minutes);
    segment.release();
    frozen.thaw();
    const refused = await responseOf(await answered);
    lambda.advance(-21 * minutes);

    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({
      code: "UNAVAILABLE",
      detail: expect.stringContaining("held up for too long"),
    });
    expect((await ask(sandbox, token, get(group))).status).toBe(404);
    const committed = lambda.servers.dynamo.log.entries({ operation: "PutItem", key: pageOf(group) });
    expect(committed.filter(({ status }) => status === 200)).toEqual([]);
  });
});

describe("keys", () => {
  test("keep tenants apart, and are asked for from everybody", async () => {
    const group = newGroup();
    const path = `/v1/other/groups/${group}/payloads/a`;
    const others = await lambda.token("other");
    const body = new Uint8Array([7]);
    await ask(sandbox, others, { method: "PUT", target: path, body });

    for (const method of ["GET", "PUT", "DELETE"]) {
      const foreign = await ask(sandbox, token, { method, target: path, ...(method === "PUT" ? { body } : {}) });
      const nobody = await responseOf(await sandbox.invoke(eventOf({ method, target: path })));
      const wrong = await ask(sandbox, `${others.slice(0, -4)}AAAA`, { method, target: path });

      expect({ method, statuses: [foreign.status, nobody.status, wrong.status] }).toEqual({
        method,
        statuses: [404, 401, 401],
      });
    }
    expect(await bytesOf(await ask(sandbox, others, { method: "GET", target: path }))).toEqual(body);
  });

  test("are bound to scopes", async () => {
    const reader = await lambda.token("acme", ["read"]);

    const response = await ask(sandbox, reader, put(newGroup(), new Uint8Array(1)));

    expect(response.status).toBe(403);
  });
});

/** The lines of metrics that a process has written. */
function metrics({ log }: Sandbox): readonly Readonly<Record<string, unknown>>[] {
  return log.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => "_aws" in line);
}

describe("the log", () => {
  test("has one line of metrics for each request, which counts what was asked of AWS", async () => {
    const { s3, dynamo } = lambda.servers;
    const group = newGroup();
    const bytes = large();
    s3.log.clear();
    dynamo.log.clear();
    const counted = await lambda.start();

    await ask(counted, token, put(group, bytes));
    await ask(counted, token, get(group));
    await ask(counted, token, { method: "GET", target: "/v1/acme/nowhere" });

    // A line comes after its answer.
    for (let waited = 0; metrics(counted).length < 3 && waited < 100; waited++) await setTimeout(20);
    const [stored, read, lost, ...more] = metrics(counted);
    expect(more).toEqual([]);
    const route = "/v1/:tenant/groups/:group/payloads/:id";
    const own = { FunctionName: "api", Requests: 1, Faults: 0, Broken: 0 };
    expect(stored).toMatchObject({ ...own, Route: route, method: "PUT", status: 200, ColdStarts: 1, S3Puts: 1 });
    expect(stored).toMatchObject({ RequestBytes: bytes.length, ClientErrors: 0 });
    expect(read).toMatchObject({ ...own, Route: route, method: "GET", ColdStarts: 0, ResponseBytes: bytes.length });
    expect(lost).toMatchObject({ ...own, Route: "none", status: 404, ClientErrors: 1, S3Gets: 0, requests: {} });
    const asked = [stored, read].flatMap((line) => Object.entries(line?.["requests"] as Record<string, number>));
    expect(asked.reduce((sum, [, count]) => sum + count, 0)).toBe(s3.log.count() + dynamo.log.count());
    const units = dynamo.log.entries().reduce((sum, { capacityUnits = 0 }) => sum + capacityUnits, 0);
    expect(sumOf([stored, read], "ReadUnits") + sumOf([stored, read], "WriteUnits")).toBe(units);
  });

  test("names no group, id or key, and holds no byte of a payload, also where requests fail", async () => {
    const { s3 } = lambda.servers;
    const quiet = await lambda.start();
    const secret = "hidden-word";
    const target = `/v1/acme/groups/${secret}-group/payloads/${secret}-id`;
    const body = new TextEncoder().encode(`${secret}-body`.repeat(2_000) + randomBytes(50_000).toString("hex"));

    await ask(quiet, token, { method: "PUT", target: `${target}?codec=none`, body });
    await ask(quiet, token, { method: "GET", target, headers: { cookie: secret, "x-other": secret } });
    const denied = s3.fault({ kind: "access-denied", operation: "PutObject", times: Infinity });
    const failed = await ask(quiet, token, { method: "PUT", target, body });
    denied.remove();

    expect(failed.status).toBe(503);
    const text = quiet.log.join("\n");
    expect(text).toContain('"code":"UNAVAILABLE"');
    expect(text).toContain('"awsError":"AccessDenied"');
    for (const hidden of [
      secret,
      token,
      token.split("_").slice(3).join("_"),
      Buffer.from(secret).toString("base64").slice(0, 8),
    ]) {
      expect(text).not.toContain(hidden);
    }
  });
});

function sumOf(lines: readonly (Readonly<Record<string, unknown>> | undefined)[], name: string): number {
  return lines.reduce((sum, line) => sum + Number(line?.[name]), 0);
}
