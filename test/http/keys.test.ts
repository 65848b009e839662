import { mkdtempSync, rmSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { scopes, type Scope } from "../../core/access/scope.ts";
import { openDiskAccess } from "../../core/entries/disk-access.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { scopeOf } from "../../functions/access.ts";
import { createApp } from "../../functions/app.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";
import { loadedRoutes } from "../../functions/route-table.ts";
import { httpApiSuite } from "../support/http-api-suite.ts";
import { keyedApp, type KeyedApp } from "../support/keyed-app.ts";
import { holds } from "../support/property.ts";

const payloadBytesMax = 256 * 1024;

httpApiSuite("createApp that asks for keys", async () => {
  const keyed = keyedApp({ store: openMemory({ payloadBytesMax }) });
  // The suite's tenants.
  const tokens = new Map<string, string>();
  return {
    origin: "http://paylode.test",
    payloadBytesMax,
    ask: async (request) => {
      const tenant = /^\/v1\/([a-z0-9][a-z0-9-]{0,62})\//.exec(new URL(request.url).pathname)?.[1] ?? "t";
      const token = tokens.get(tenant) ?? (await keyed.token(tenant, scopes, { bytesPerDay: 1e12 }));
      tokens.set(tenant, token);
      request.headers.set("authorization", `Bearer ${token}`);
      return keyed.app.fetch(request);
    },
    close: () => keyed.store.close(),
  };
});

const pathOf = (template: string, tenant: string): string =>
  template.replace(":tenant", tenant).replace(":group", "g").replace(":id", "a").replace(":erasure", "0123456789ab");

/** Every route that there is, HEAD too, so that a new one cannot be forgotten. */
const everyRoute = Object.entries(await loadedRoutes()).flatMap(([template, methods]) =>
  Object.entries(methods).flatMap(([method, route]) =>
    (method === "GET" ? ["GET", "HEAD"] : [method]).map((asked) => ({ template, method: asked, route })),
  ),
);
const bodyFor = (method: string): RequestInit =>
  method === "PUT" || method === "POST" ? { body: '{"group":"g","id":"a","text":"x"}\n' } : {};

describe("a key", () => {
  let keyed: KeyedApp;
  beforeEach(() => {
    keyed = keyedApp();
  });

  const guardedRoutes = everyRoute.filter(({ route }) => route.access !== "open");
  const openRoutes = everyRoute.filter(({ route }) => route.access === "open");

  test("is asked for by every route but two", () => {
    expect([...new Set(openRoutes.map(({ template }) => template))]).toEqual(["/healthz", "/openapi.json"]);
    expect(guardedRoutes.length).toBeGreaterThan(10);
  });

  test.each(guardedRoutes)("is asked for by $method $template", async ({ template, method }) => {
    const target = pathOf(template, "acme");

    const without = await keyed.ask(undefined, method, target, bodyFor(method));
    const wrong = await keyed.ask(`pl_acme_${"0".repeat(12)}_${"A".repeat(43)}`, method, target, bodyFor(method));

    expect(without.status).toBe(401);
    expect(without.headers.get("www-authenticate")).toBe("Bearer");
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    if (method !== "HEAD") expect(await without.json()).toMatchObject({ code: "UNAUTHENTICATED", retryable: false });
    expect(await keyed.store.isEmpty({ tenant: "acme" })).toBe(true);
  });

  test.each(openRoutes)("is not asked for by $method $template, and a wrong one is no harm", async (open) => {
    expect((await keyed.ask(undefined, open.method, open.template)).status).toBe(200);
    expect((await keyed.ask("wrong", open.method, open.template)).status).toBe(200);
  });

  test.each([
    "Basic cGF5bG9kZQ==",
    "Bearer",
    "Bearer ",
    "Bearer pl_acme",
    "Bearer %TOKEN% %TOKEN%",
    "Bearer %TOKEN%, Bearer %TOKEN%",
    "Token %TOKEN%",
    "%TOKEN%",
  ])("sent as %j is 401", async (header) => {
    const authorization = header.replaceAll("%TOKEN%", await keyed.token("acme"));

    const response = await keyed.app.request("/v1/acme/stats", { headers: { authorization } });

    expect(response.status).toBe(401);
  });

  test("is taken whatever the case of its scheme", async () => {
    const authorization = `bEaReR ${await keyed.token("acme")}`;

    expect((await keyed.app.request("/v1/acme/stats", { headers: { authorization } })).status).toBe(200);
  });

  test("that has expired, or was ended or rotated away, is 401", async () => {
    const { keeper } = keyed.access;
    const newKey = { tenant: "acme", name: "n", scopes: ["read"] } as const;
    const expiring = await keeper.create({ ...newKey, expiresMs: keyed.clock.ms + 60_000 });
    const ended = await keeper.create(newKey);
    const rotated = await keeper.create(newKey);
    const statuses = (): Promise<readonly number[]> =>
      Promise.all(
        [expiring, ended, rotated].map(async ({ token }) => (await keyed.ask(token, "GET", "/v1/acme/stats")).status),
      );
    expect(await statuses()).toEqual([200, 200, 200]);

    await keeper.expire("acme", ended.key.id);
    await keeper.rotate("acme", rotated.key.id, 0);
    keyed.clock.ms += 30_000;
    expect(await statuses()).toEqual([200, 401, 401]);
    keyed.clock.ms += 30_000;
    expect(await statuses()).toEqual([401, 401, 401]);
  });

  const needed: readonly [string, Scope][] = everyRoute.flatMap(({ template, method, route }) => {
    const scope = scopeOf(route, method);
    return scope === undefined ? [] : [[`${method} ${template}`, scope] as [string, Scope]];
  });

  test("needs for each route the scope that docs/http.md says", () => {
    const one = "/v1/:tenant/groups/:group/payloads";
    expect(Object.fromEntries(needed)).toEqual({
      [`GET ${one}/:id`]: "read",
      [`HEAD ${one}/:id`]: "read",
      [`PUT ${one}/:id`]: "write",
      [`DELETE ${one}/:id`]: "erase",
      [`POST ${one}/:id/upload`]: "write",
      [`POST ${one}/:id/commit`]: "write",
      [`GET ${one}`]: "read",
      [`HEAD ${one}`]: "read",
      [`POST ${one}`]: "write",
      "DELETE /v1/:tenant/groups/:group": "erase",
      "GET /v1/:tenant/groups": "read",
      "HEAD /v1/:tenant/groups": "read",
      "GET /v1/:tenant/payloads": "read",
      "HEAD /v1/:tenant/payloads": "read",
      "POST /v1/:tenant/payloads": "write",
      "GET /v1/:tenant/erasures": "erase",
      "HEAD /v1/:tenant/erasures": "erase",
      "POST /v1/:tenant/erasures": "erase",
      "GET /v1/:tenant/erasures/:erasure": "erase",
      "HEAD /v1/:tenant/erasures/:erasure": "erase",
      "GET /v1/:tenant/stats": "read",
      "HEAD /v1/:tenant/stats": "read",
      "GET /metrics": "admin",
      "HEAD /metrics": "admin",
    });
  });

  test.each(scopes)("with the scope %s alone is refused elsewhere, and nothing is done", async (held) => {
    const token = await keyed.token("acme", [held]);
    const kept = { tenant: "acme", group: "kept", id: "a" };
    await keyed.store.append(kept, new Uint8Array(1));
    for (const { template, method, route } of guardedRoutes) {
      const scope = scopeOf(route, method);
      const target = pathOf(template, "acme").replace("/groups/g", "/groups/kept");
      if (held === scope || held === "admin") continue;

      const response = await keyed.ask(token, method, target, bodyFor(method));

      expect(response.status, `${method} ${template}`).toBe(403);
      const header = `Bearer error="insufficient_scope", scope="${scope}"`;
      expect(response.headers.get("www-authenticate")).toBe(header);
      if (method !== "HEAD") expect(await response.json()).toMatchObject({ code: "FORBIDDEN", retryable: false });
    }
    expect(await keyed.store.size({ tenant: "acme" })).toBe(1);
    expect(await keyed.store.get(kept)).toEqual(new Uint8Array(1));
  });

  test.each(scopes)("with the scope %s is let in where that is enough", async (held) => {
    const token = await keyed.token("acme", [held]);
    for (const { template, method, route } of guardedRoutes) {
      if (held !== "admin" && scopeOf(route, method) !== held) continue;

      const response = await keyed.ask(token, method, pathOf(template, "acme"), bodyFor(method));

      expect([200, 204, 400, 404], `${method} ${template}: ${response.status}`).toContain(response.status);
    }
  });

  test("asks about the server with the scope admin, or on the machine", async () => {
    const [admin, other] = [await keyed.token("acme", ["admin"]), await keyed.token("acme")];

    expect((await keyed.ask(admin, "GET", "/metrics")).status).toBe(200);
    expect((await keyed.ask(other, "GET", "/metrics")).status).toBe(403);
    const local = keyedApp({ isLocal: (request) => new URL(request.url).hostname === "localhost" });
    expect((await local.app.request("http://localhost/metrics")).status).toBe(200);
    expect((await local.app.request("http://paylode.test/metrics")).status).toBe(401);
    // Only about the server itself.
    expect((await local.app.request("http://localhost/v1/acme/stats")).status).toBe(401);
  });
});

describe("a key of another tenant", () => {
  let keyed: KeyedApp;
  let token: string;
  beforeEach(async () => {
    keyed = keyedApp();
    token = await keyed.token("acme", scopes);
    await keyed.store.append({ tenant: "victim", group: "g", id: "a" }, new TextEncoder().encode("secret"));
  });

  const ofTenants = everyRoute.filter(({ template }) => template.includes(":tenant"));
  const shown = async (response: Response): Promise<unknown> => ({
    status: response.status,
    headers: [...response.headers],
    body: await response.text(),
  });

  test.each(ofTenants)("is 404 for $method $template, and changes nothing", async ({ template, method }) => {
    for (const tenant of ["victim", "nobody"]) {
      const response = await keyed.ask(token, method, pathOf(template, tenant), bodyFor(method));

      expect(response.status).toBe(404);
      if (method !== "HEAD") expect(await response.json()).toMatchObject({ code: "NOT_FOUND" });
    }
    expect(await keyed.store.stats({ tenant: "victim" })).toMatchObject({ payloads: 1 });
    expect(await keyed.store.isEmpty({ tenant: "nobody" })).toBe(true);
    expect(await keyed.store.isEmpty({ tenant: "acme" })).toBe(true);
  });

  test.each(ofTenants)("tells $method $template nothing of what is there", async ({ template, method }) => {
    const [there, none] = await Promise.all(
      ["victim", "nobody"].map((tenant) => keyed.ask(token, method, pathOf(template, tenant), bodyFor(method))),
    );

    expect(await shown(there ?? new Response())).toEqual(await shown(none ?? new Response()));
  });

  test.each([
    ["GET", "/groups/g/payloads/a"],
    ["HEAD", "/groups/g/payloads/a"],
    ["DELETE", "/groups/g/payloads/a"],
    ["DELETE", "/groups/g"],
  ])("is told by %s of %s the very words for something that its own tenant does not have", async (method, rest) => {
    const foreign = await keyed.ask(token, method, `/v1/victim${rest}`);
    const missing = await keyed.ask(token, method, `/v1/acme${rest}`);

    expect(await shown(foreign)).toEqual(await shown(missing));
  });

  test("is 404 also without the scope, so that scopes tell nothing either", async () => {
    const reader = await keyed.token("acme", ["read"]);

    expect((await keyed.ask(reader, "DELETE", "/v1/victim/groups/g")).status).toBe(404);
  });
});

/** One request of one of two tenants, by names that both use. */
interface Asked {
  readonly by: "a" | "b";
  readonly at: "a" | "b";
  readonly method: string;
  readonly rest: string;
  readonly body?: string | undefined;
  readonly header?: readonly [string, string] | undefined;
}

const group = fc.constantFrom("g", "h");
const id = fc.constantFrom("x", "y", "z");
const text = fc.constantFrom("1", "22", "x".repeat(900));
const line = fc.record({ group, id, text }).map((members) => JSON.stringify(members));
const tenants = { by: fc.constantFrom("a" as const, "b" as const), at: fc.constantFrom("a" as const, "b" as const) };
const header = fc.option(
  fc.constantFrom<readonly [string, string]>(["if-none-match", "*"], ["idempotency-key", "k1"], ["range", "bytes=1-5"]),
  { nil: undefined },
);

/** What can be asked of each route; the property below fails when there is a route that is not here. */
const requestsTo: Readonly<Record<string, fc.Arbitrary<Pick<Asked, "rest" | "body" | "header">>>> = {
  "GET /v1/:tenant/groups/:group/payloads/:id": fc.record({ rest: fc.tuple(group, id).map(payloadPath), header }),
  "HEAD /v1/:tenant/groups/:group/payloads/:id": fc.record({ rest: fc.tuple(group, id).map(payloadPath) }),
  "PUT /v1/:tenant/groups/:group/payloads/:id": fc.record({
    rest: fc.tuple(group, id).map(payloadPath),
    body: text,
    header,
  }),
  "DELETE /v1/:tenant/groups/:group/payloads/:id": fc.record({ rest: fc.tuple(group, id).map(payloadPath) }),
  "POST /v1/:tenant/groups/:group/payloads/:id/upload": fc.record({
    rest: fc.tuple(group, id).map((names) => `${payloadPath(names)}/upload`),
    body: fc.constant(JSON.stringify({ bytes: 1, sha256: "a".repeat(64) })),
  }),
  "POST /v1/:tenant/groups/:group/payloads/:id/commit": fc.record({
    rest: fc.tuple(group, id).map((names) => `${payloadPath(names)}/commit`),
    body: fc.constant(JSON.stringify({ upload: "u", bytes: 1, sha256: "a".repeat(64) })),
  }),
  "GET /v1/:tenant/groups/:group/payloads": fc.record({
    rest: fc
      .tuple(group, fc.constantFrom("", "?limit=1", "?include=data"))
      .map(([name, query]) => `/groups/${name}/payloads${query}`),
  }),
  "HEAD /v1/:tenant/groups/:group/payloads": fc.record({ rest: group.map((name) => `/groups/${name}/payloads`) }),
  "POST /v1/:tenant/groups/:group/payloads": fc.record({
    rest: group.map((name) => `/groups/${name}/payloads`),
    body: fc.record({ id, text }).map((members) => JSON.stringify(members)),
    header,
  }),
  "DELETE /v1/:tenant/groups/:group": fc.record({ rest: group.map((name) => `/groups/${name}`) }),
  "GET /v1/:tenant/groups": fc.record({ rest: fc.constant("/groups") }),
  "HEAD /v1/:tenant/groups": fc.record({ rest: fc.constant("/groups") }),
  "GET /v1/:tenant/payloads": fc.record({
    rest: fc.constantFrom("", "?where=k:v", "?where=k:v&limit=1", "?where=").map((query) => `/payloads${query}`),
  }),
  "HEAD /v1/:tenant/payloads": fc.record({ rest: fc.constant("/payloads?where=k:v") }),
  "POST /v1/:tenant/payloads": fc.record({
    rest: fc.constant("/payloads"),
    body: fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => lines.join("\n")),
    header,
  }),
  "GET /v1/:tenant/erasures": fc.record({ rest: fc.constant("/erasures") }),
  "HEAD /v1/:tenant/erasures": fc.record({ rest: fc.constant("/erasures") }),
  "POST /v1/:tenant/erasures": fc.record({
    rest: fc.constant("/erasures"),
    body: fc
      .oneof(fc.record({ group }), fc.record({ group, ids: fc.tuple(id) }), fc.constant({ everything: true }))
      .map((selector) => JSON.stringify(selector)),
  }),
  "GET /v1/:tenant/erasures/:erasure": fc.record({ rest: fc.constant("/erasures/0123456789ab") }),
  "HEAD /v1/:tenant/erasures/:erasure": fc.record({ rest: fc.constant("/erasures/0123456789ab") }),
  "GET /v1/:tenant/stats": fc.record({ rest: fc.constant("/stats") }),
  "HEAD /v1/:tenant/stats": fc.record({ rest: fc.constant("/stats") }),
};

function payloadPath([groupName, idName]: readonly [string, string]): string {
  return `/groups/${groupName}/payloads/${idName}`;
}

describe("two tenants with keys", () => {
  const ofTenants = everyRoute.filter(({ template }) => template.includes(":tenant"));
  const asked = fc.oneof(
    ...ofTenants.map(({ template, method }) => {
      const request = requestsTo[`${method} ${template}`];
      if (request === undefined) throw new Error(`the property asks nothing of ${method} ${template}`);
      return fc
        .record({ ...tenants, request })
        .map(({ request: rest, ...who }): Asked => ({ ...who, method, ...rest }));
    }),
  );

  /** What differs between two stores that were told the same: names of segments, places in them, and time. */
  const withoutChance = (answer: string): string =>
    answer
      .replaceAll(/"segment":"[^"]*","offset":\d+/g, "")
      .replaceAll(/"(?:time|next|erasure|requested|hidden|segment)":"[^"]*"/g, "");
  const answerOf = async (response: Response): Promise<unknown> => {
    const headers = [...response.headers].filter(
      ([name]) => !["last-modified", "paylode-time", "location"].includes(name),
    );
    return { status: response.status, headers, body: withoutChance(await response.text()) };
  };

  /** The suspected flaw: an answer, or its absence, that depends on what another tenant has. */
  test("never observe one another: all answers are as if the other were not there", async () => {
    await holds(
      import.meta.filename,
      fc.asyncProperty(fc.array(asked, { minLength: 1, maxLength: 40 }), async (requests) => {
        const [both, alone] = [keyedApp(), keyedApp()];
        const tokens = { a: await both.token("a", scopes), b: await both.token("b", scopes) };
        const lonely = await alone.token("a", scopes);
        await alone.token("b", scopes);

        for (const { by, at, method, rest, body, header: sent } of requests) {
          const init = {
            ...(body === undefined ? {} : { body }),
            headers: sent === undefined ? {} : { [sent[0]]: sent[1] },
          };
          const answer = await both.ask(tokens[by], method, `/v1/${at}${rest}`, init);
          if (by !== at) expect(answer.status).toBe(404);
          if (by === "b") continue;
          const expected = await alone.ask(lonely, method, `/v1/${at}${rest}`, init);
          expect(await answerOf(answer)).toEqual(await answerOf(expected));
        }
        await Promise.all([both.store.close(), alone.store.close()]);
      }),
      { runs: 60 },
    );
  });

  test("never mix in 1,000 interleaved calls", async () => {
    const keyed = keyedApp();
    const tokens = { a: await keyed.token("a"), b: await keyed.token("b") };
    const valueOf = (tenant: string, n: number): string => `${tenant} ${n}`;

    const wrong = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const [tenant, n] = [i % 2 === 0 ? ("a" as const) : ("b" as const), Math.floor(i / 2)];
        const target = `/v1/${tenant}/groups/g${n % 7}/payloads/p${n}`;
        const put = await keyed.ask(tokens[tenant], "PUT", target, { body: valueOf(tenant, n) });
        const got = await keyed.ask(tokens[tenant], "GET", target);
        const foreign = await keyed.ask(tokens[tenant === "a" ? "b" : "a"], "GET", target);
        const isRight = put.status === 200 && (await got.text()) === valueOf(tenant, n) && foreign.status === 404;
        return isRight ? [] : [target];
      }),
    );

    expect(wrong.flat()).toEqual([]);
    for (const tenant of ["a", "b"]) expect(await keyed.store.size({ tenant })).toBe(250);
  });
});

describe("a quota of requests", () => {
  test("is answered with 429 and when to come again, and concerns no other key", async () => {
    const keyed = keyedApp();
    const token = await keyed.token("acme", ["read"], { requestsPerMinute: 3 });
    const other = await keyed.token("acme", ["read"], { requestsPerMinute: 3 });
    keyed.clock.ms += 20_500;
    // What is refused counts too: another tenant's, and what the scope does not reach.
    const before = ["/v1/acme/stats", "/v1/victim/stats"].map((target) => keyed.ask(token, "GET", target));
    expect((await Promise.all(before)).map(({ status }) => status)).toEqual([200, 404]);
    expect((await keyed.ask(token, "DELETE", "/v1/acme/groups/g")).status).toBe(403);

    const response = await keyed.ask(token, "GET", "/v1/acme/stats");

    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("40");
    expect(await response.json()).toMatchObject({
      code: "QUOTA_EXCEEDED",
      retryable: true,
      quota: "requestsPerMinute",
      limit: 3,
      retryAfterSeconds: 40,
    });
    expect((await keyed.ask(other, "GET", "/v1/acme/stats")).status).toBe(200);
    expect((await keyed.ask(token, "GET", "/healthz")).status).toBe(200);
    keyed.clock.ms += 39_500;
    expect((await keyed.ask(token, "GET", "/v1/acme/stats")).status).toBe(200);
  });
});

describe("a quota of bytes", () => {
  const target = "/v1/acme/groups/g/payloads/a";
  const kept = { tenant: "acme", group: "g", id: "a" };
  let keyed: KeyedApp;
  beforeEach(() => {
    keyed = keyedApp();
  });
  const inPieces = (pieces: number, bytes: number): RequestInit => ({
    body: ReadableStream.from(Array.from({ length: pieces }, () => new Uint8Array(bytes))),
    duplex: "half",
  });
  const announced = (bytes: number): RequestInit => ({
    body: new Uint8Array(bytes),
    headers: { "content-length": String(bytes) },
  });

  test.each([
    ["announced", announced(60)],
    ["in pieces", inPieces(6, 10)],
  ])("counts what is written, %s, until the day is over", async (how, init) => {
    const token = await keyed.token("acme", ["write"], { bytesPerDay: 100 });
    expect((await keyed.ask(token, "PUT", target, init)).status).toBe(200);
    await keyed.store.delete(kept);

    const again = how === "announced" ? announced(60) : inPieces(6, 10);
    const response = await keyed.ask(token, "PUT", target, again);

    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("43200");
    expect(await response.json()).toMatchObject({ code: "QUOTA_EXCEEDED", quota: "bytesPerDay", limit: 100 });
    expect(await keyed.store.has(kept)).toBe(false);
    keyed.clock.ms += 43_200_000;
    expect((await keyed.ask(token, "PUT", target, announced(100))).status).toBe(200);
  });

  test.each([
    ["POST", "/v1/acme/groups/g/payloads"],
    ["POST", "/v1/acme/payloads"],
    ["PUT", target],
  ])("cuts a body without a length off at %s of %s, and stores nothing of it", async (method, where) => {
    const token = await keyed.token("acme", ["write"], { bytesPerDay: 1_000 });
    let read = 0;
    const lines = async function* () {
      for (; ; read += 1) yield new TextEncoder().encode(`{"id":"${read}","group":"g","text":"${"x".repeat(100)}"}\n`);
    };

    const response = await keyed.ask(token, method, where, { body: ReadableStream.from(lines()), duplex: "half" });

    expect(response.status).toBe(429);
    expect(read).toBeLessThan(12);
    expect(await keyed.store.isEmpty({ tenant: "acme" })).toBe(true);
  });

  test("is not read for a body that is announced and does not fit", async () => {
    const token = await keyed.token("acme", ["write"], { bytesPerDay: 100 });
    let isRead = false;
    const body = new ReadableStream(
      {
        pull() {
          isRead = true;
        },
      },
      { highWaterMark: 0 },
    );

    const headers = { "content-length": "101" };
    const response = await keyed.ask(token, "PUT", target, { body, headers, duplex: "half" });

    expect(response.status).toBe(429);
    expect(isRead).toBe(false);
  });

  test("gives back what was announced of a body that was refused unread", async () => {
    const token = await keyed.token("acme", ["write"], { bytesPerDay: 100 });
    const encoded = { ...announced(90), headers: { "content-length": "90", "content-encoding": "gzip" } };
    expect((await keyed.ask(token, "PUT", target, encoded)).status).toBe(400);
    const tooLong = { body: "x", headers: { "content-length": "999999999999" } };
    expect((await keyed.ask(token, "PUT", target, tooLong)).status).toBe(413);

    expect((await keyed.ask(token, "PUT", target, announced(90))).status).toBe(200);
    expect((await keyed.ask(token, "PUT", target, announced(20))).status).toBe(429);
  });

  test("counts an upload past the server when its URL is asked for", async () => {
    const store = openMemory();
    const begun: number[] = [];
    store.beginUpload = async (_key, { bytes }) => {
      begun.push(bytes);
      return { upload: "u", url: "https://bucket.example/u", method: "PUT", headers: {}, expiresMs: 0 };
    };
    keyed = keyedApp({ store });
    const token = await keyed.token("acme", ["write"], { bytesPerDay: 1_000_000 });
    const upload = (bytes: number): Promise<Response> =>
      keyed.ask(token, "POST", `${target}/upload`, { body: JSON.stringify({ bytes, sha256: "a".repeat(64) }) });

    expect((await upload(999_000)).status).toBe(200);
    expect((await upload(999_000)).status).toBe(429);
    expect(begun).toEqual([999_000]);
  });

  test("counts what is read: payloads, parts of them, lists and exports, and no HEAD and no 304", async () => {
    const uncounted = await keyed.token("acme");
    await keyed.ask(uncounted, "PUT", target, announced(1_000));
    const lengthOf = async (where: string): Promise<number> =>
      (await (await keyed.ask(uncounted, "GET", where)).arrayBuffer()).byteLength;
    const export_ = "/v1/acme/groups/g/payloads?include=data";
    const sizes = [
      await lengthOf("/v1/acme/stats"),
      await lengthOf("/v1/acme/groups/g/payloads"),
      await lengthOf(export_),
    ];
    const bytesPerDay = 1_000 + 10 + sizes.reduce((sum, bytes) => sum + bytes, 0);
    const token = await keyed.token("acme", ["read"], { bytesPerDay });
    // The tenant's keys were read a moment ago.
    keyed.clock.ms += 1_000;

    const etag = (await keyed.ask(token, "HEAD", target)).headers.get("etag") ?? "";
    expect((await keyed.ask(token, "GET", target, { headers: { "if-none-match": etag } })).status).toBe(304);
    for (const where of ["/v1/acme/stats", "/v1/acme/groups/g/payloads", export_]) {
      const counted = await keyed.ask(token, "GET", where);
      expect((await counted.arrayBuffer()).byteLength).toBe(await lengthOf(where));
    }
    expect((await keyed.ask(token, "GET", target, { headers: { range: "bytes=0-9" } })).status).toBe(206);
    const read = await keyed.ask(token, "GET", target);
    expect((await read.arrayBuffer()).byteLength).toBe(1_000);

    for (const where of [target, "/v1/acme/stats", export_]) {
      expect((await keyed.ask(token, "GET", where)).status).toBe(429);
    }
    expect((await keyed.ask(token, "HEAD", target)).status).toBe(200);
  });

  test("refuses a payload that does not fit, and a smaller one does", async () => {
    await keyed.store.append(kept, new Uint8Array(500));
    await keyed.store.append({ ...kept, id: "b" }, new Uint8Array(100));
    const token = await keyed.token("acme", ["read"], { bytesPerDay: 300 });

    expect((await keyed.ask(token, "GET", target)).status).toBe(429);
    expect((await keyed.ask(token, "GET", "/v1/acme/groups/g/payloads/b")).status).toBe(200);
  });

  test("breaks an export off where it ends, and never ends it well", async () => {
    for (let i = 0; i < 20; i++) await keyed.store.append({ ...kept, id: `${i}` }, new Uint8Array(30_000));
    const token = await keyed.token("acme", ["read"], { bytesPerDay: 200_000 });

    const response = await keyed.ask(token, "GET", "/v1/acme/groups/g/payloads?include=data");

    expect(response.status).toBe(200);
    let bytes = 0;
    const reading = async (): Promise<void> => {
      for await (const piece of response.body ?? []) bytes += (piece as Uint8Array).length;
    };
    await expect(reading()).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    expect(bytes).toBeGreaterThan(100_000);
    expect(bytes).toBeLessThanOrEqual(200_000);
  });

  test("stops an export whose client goes away", async () => {
    let isEnded = false;
    const store = openMemory();
    await store.append(kept, new Uint8Array(1));
    const contents = store.contents.bind(store);
    store.contents = async function* (key, options) {
      try {
        for (;;)
          for await (const payload of contents(key, options)) yield { ...payload, body: new Uint8Array(100_000) };
      } finally {
        isEnded = true;
      }
    };
    keyed = keyedApp({ store });
    const token = await keyed.token("acme", ["read"], { bytesPerDay: 1e9 });

    const response = await keyed.ask(token, "GET", "/v1/acme/groups/g/payloads?include=data");
    await response.body?.cancel();

    expect(isEnded).toBe(true);
  });
});

describe("the local server", () => {
  let directory: string;
  let servers: LocalServer[];
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), "paylode-keyed-"));
    servers = [];
  });
  afterEach(async () => {
    for (const server of servers) await server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const serve = async (options: { readonly host?: string; readonly noKeys?: boolean } = {}): Promise<LocalServer> => {
    const server = await serveLocal({ directory, port: 0, ...options });
    servers.push(server);
    return server;
  };
  const newToken = async (more: object = {}): Promise<string> => {
    const { keeper } = openDiskAccess(directory);
    return (await keeper.create({ tenant: "t", name: "n", scopes: ["read", "write", "erase"], ...more })).token;
  };
  const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
  /** Asks with a Host of one's own. @returns the status */
  const statusAs = async (host: string, server: LocalServer, target: string, token?: string): Promise<number> => {
    const socket = connect(server.port, "127.0.0.1");
    const key = token === undefined ? "" : `Authorization: Bearer ${token}\r\n`;
    socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${key}\r\n`);
    let answer = "";
    for await (const piece of socket) answer += String(piece);
    return Number(answer.slice(9, 12));
  };

  test("asks for keys from the moment that its folder has one, without a restart", async () => {
    const server = await serve();
    const stats = `${server.url}/v1/t/stats`;
    expect((await fetch(stats)).status).toBe(200);

    const token = await newToken();

    expect((await fetch(stats)).status).toBe(401);
    expect((await fetch(stats, { headers: bearer(token) })).status).toBe(200);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(200);
    // Removing the file opens nothing.
    unlinkSync(path.join(directory, "keys.json"));
    expect((await fetch(stats)).status).toBe(401);
  });

  test("asks for none on the loopback with noKeys, although the folder has some", async () => {
    await newToken();
    const server = await serve({ noKeys: true });

    expect((await fetch(`${server.url}/v1/t/stats`)).status).toBe(200);
    expect(await statusAs("evil.example", server, "/v1/t/stats")).toBe(421);
  });

  test("is served beyond the loopback with a key in force only", async () => {
    await expect(serve({ host: "0.0.0.0" })).rejects.toMatchObject({
      code: "INVALID",
      message: expect.stringContaining("`paylode keys create`") as string,
    });
    const { keeper } = openDiskAccess(directory);
    const { key } = await keeper.create({ tenant: "t", name: "n", scopes: ["read"] });
    await keeper.expire("t", key.id);
    await expect(serve({ host: "0.0.0.0" })).rejects.toMatchObject({ code: "INVALID" });

    const token = await newToken();
    await expect(serve({ host: "0.0.0.0", noKeys: true })).rejects.toMatchObject({ code: "INVALID" });
    const server = await serve({ host: "0.0.0.0" });

    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    expect((await fetch(`${server.url}/v1/t/stats`)).status).toBe(401);
    expect((await fetch(`${server.url}/v1/t/stats`, { headers: bearer(token) })).status).toBe(200);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
    expect((await fetch(`${server.url}/metrics`, { headers: bearer(token) })).status).toBe(403);
    const admin = await newToken({ scopes: ["admin"] });
    // The tenant's keys were read a moment ago.
    const asAdmin = async (): Promise<number> =>
      (await fetch(`${server.url}/metrics`, { headers: bearer(admin) })).status;
    await expect.poll(asAdmin, { timeout: 5_000 }).toBe(200);
  });

  test("answers to any Host who has a key, and without one to the loopback's names about itself", async () => {
    const token = await newToken();
    const server = await serve();

    expect(await statusAs("paylode.example", server, "/v1/t/stats", token)).toBe(200);
    expect(await statusAs("paylode.example", server, "/v1/t/stats")).toBe(401);
    expect(await statusAs("localhost", server, "/metrics")).toBe(200);
    expect(await statusAs("paylode.example", server, "/metrics")).toBe(401);
  });

  test("answers nobody while its keys cannot be read", async () => {
    const token = await newToken();
    const server = await serve();
    const { writeFileSync } = await import("node:fs");
    writeFileSync(path.join(directory, "keys.json"), "{}");

    for (const headers of [{}, bearer(token)]) {
      const response = await fetch(`${server.url}/v1/t/stats`, { headers });
      expect([401, 500]).toContain(response.status);
    }
    await expect(serve({ host: "0.0.0.0" })).rejects.toMatchObject({ code: "CORRUPT" });
  });

  test("answers 429 to a body in chunks that uses its quota up, and stores nothing", async () => {
    const token = await newToken({ quota: { bytesPerDay: 100_000 } });
    const server = await serve();
    const chunks = async function* () {
      for (let i = 0; i < 10; i++) yield new Uint8Array(20_000);
    };

    const response = await fetch(`${server.url}/v1/t/groups/g/payloads/a`, {
      method: "PUT",
      body: ReadableStream.from(chunks()),
      duplex: "half",
      headers: bearer(token),
    });

    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await server.store.isEmpty({ tenant: "t" })).toBe(true);
  });

  test("counts what goes over the wire, and gives payloads and exports whole", async () => {
    const token = await newToken({ quota: { bytesPerDay: 1_000_000 } });
    const server = await serve();
    const url = `${server.url}/v1/t/groups/g/payloads/a`;
    const body = new Uint8Array(200_000).map((_, i) => i % 251);

    expect((await fetch(url, { method: "PUT", body, headers: bearer(token) })).status).toBe(200);
    const read = await fetch(url, { headers: bearer(token) });
    expect(new Uint8Array(await read.arrayBuffer())).toEqual(body);
    const exported = await fetch(`${server.url}/v1/t/groups/g/payloads?include=data`, { headers: bearer(token) });
    const [line = ""] = (await exported.text()).split("\n");
    expect(Buffer.from((JSON.parse(line) as { base64: string }).base64, "base64")).toEqual(Buffer.from(body));
    expect((await fetch(url, { headers: bearer(token) })).status).toBe(200);
    expect((await fetch(url, { headers: bearer(token) })).status).toBe(429);
  });
});

test("an app without access lets everybody in, as on a laptop", async () => {
  expect((await createApp(openMemory()).request("/v1/t/stats")).status).toBe(200);
});
