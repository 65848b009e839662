import { describe, expect, test } from "vitest";
import { isPayloadStoreError, type PayloadStoreError } from "../../core/entries/client.ts";
import { text } from "../conformance/sample-bytes.ts";
import { clientLab, keyOf, type ClientLab } from "../support/client-lab.ts";
import type { NetworkFault } from "../support/faulty-fetch.ts";

const passing: readonly (readonly [name: string, fault: NetworkFault])[] = [
  ["a reset before it took effect", { kind: "reset", when: "before" }],
  ["a reset after it took effect", { kind: "reset", when: "after" }],
  ["503 with Retry-After", { kind: "status", status: 503, headers: { "retry-after": "2" } }],
  ["429", { kind: "status", status: 429 }],
  ["502 of a proxy", { kind: "status", status: 502, body: "<html>Bad Gateway" }],
  ["an answer that breaks off", { kind: "cut", ending: "broken" }],
  ["an answer that ends too early", { kind: "cut", ending: "quiet" }],
  ["silence before it took effect", { kind: "silence", when: "before" }],
  ["silence after it took effect", { kind: "silence", when: "after" }],
];

const key = { group: "g", id: "a" };
const full = { tenant: "t", ...key };

const writes: readonly (readonly [name: string, write: (lab: ClientLab) => Promise<unknown>])[] = [
  ["append", ({ client }) => client.append(key, text("mine"), { contentType: "text/x", attributes: { a: "ü" } })],
  ["append with ifAbsent", ({ client }) => client.append(key, text("mine"), { ifAbsent: true })],
  ["appendMany", ({ client }) => client.appendMany({ group: "g" }, [{ id: "a", bytes: text("mine") }])],
  ["appendGroups", ({ client }) => client.appendGroups([{ ...key, bytes: text("mine") }])],
];

describe.each(writes)("%s", (_name, write) => {
  test.each(passing)("takes effect once under %s", async (_fault, fault) => {
    const lab = clientLab({ faults: [fault, fault] });

    await lab.timers.until(write(lab));

    expect(lab.network.sent).toHaveLength(3);
    expect(new Set(lab.network.sent.map(keyOf)).size).toBe(1);
    expect(keyOf(lab.network.sent[0]!)).toMatch(/^[0-9a-f]{32}$/);
    expect(await lab.store.get(full)).toEqual(text("mine"));
    expect((await lab.store.verify()).frames).toBe(1);
  });

  test("never comes back over what others stored between its attempts", async () => {
    const lab = clientLab({ faults: [{ kind: "reset", when: "after" }] });
    lab.network.onTaken = async () => {
      await lab.store.append(full, text("theirs, later"));
    };

    await lab.timers.until(write(lab));

    expect(await lab.store.get(full)).toEqual(text("theirs, later"));
    expect((await lab.store.verify()).frames).toBe(2);
  });
});

const deletes: readonly (readonly [
  name: string,
  erase: (lab: ClientLab) => Promise<unknown>,
  first: unknown,
  again: unknown,
])[] = [
  ["delete", ({ client }) => client.delete(key), true, true],
  // How many they were is not known any more.
  ["deleteGroup", ({ client }) => client.deleteGroup({ group: "g" }), 1, 0],
];

describe.each(deletes)("%s", (_name, erase, first, again) => {
  test.each(passing)("takes effect once under %s, and hides nothing that was stored since", async (_fault, fault) => {
    const lab = clientLab({ faults: [fault] });
    await lab.store.append(full, text("mine"));
    lab.network.onTaken = async () => {
      await lab.store.append(full, text("theirs, later"));
    };

    const answer = await lab.timers.until(erase(lab));

    const wasTaken = lab.network.sent[0]?.answered !== undefined;
    expect(answer).toBe(wasTaken ? again : first);
    expect(await lab.store.get(full)).toEqual(wasTaken ? text("theirs, later") : undefined);
    expect(new Set(lab.network.sent.map(keyOf)).size).toBe(1);
    expect(lab.network.sent).toHaveLength(2);
  });
});

const reads: readonly (readonly [name: string, read: (lab: ClientLab) => Promise<unknown>, wanted: unknown])[] = [
  ["get", ({ client }) => client.get(key), text("x".repeat(2000))],
  ["head", async ({ client }) => (await client.head(key))?.bytes, 2000],
  ["stats", async ({ client }) => (await client.stats()).payloads, 1],
  ["page", async ({ client }) => (await client.page({ group: "g" })).payloads.length, 1],
];

describe.each(reads)("%s", (name, read, wanted) => {
  // HEAD has no body that could end early.
  test.each(passing.filter(([, fault]) => name !== "head" || fault.kind !== "cut"))(
    "is repeated under %s",
    async (_fault, fault) => {
      const lab = clientLab({ faults: [fault, fault] });
      await lab.store.append(full, text("x".repeat(2000)));

      expect(await lab.timers.until(read(lab))).toEqual(wanted);
      expect(lab.network.sent).toHaveLength(3);
    },
  );
});

describe("the pauses between attempts", () => {
  const refused: NetworkFault = { kind: "status", status: 503 };
  const pausesOf = ({ network }: ClientLab): number[] => {
    return network.sent.slice(1).map(({ atMs }, i) => Math.round(atMs - (network.sent[i]?.atMs ?? 0)));
  };

  test("grow twofold up to ten seconds", async () => {
    const lab = clientLab({ faults: () => refused, client: { attempts: 10, deadlineMs: 1_000_000 } });

    await failure(lab.timers.until(lab.client.stats()));

    expect(pausesOf(lab)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });

  test("are drawn from zero on, so that clients which failed together come back apart", async () => {
    const draws = [0, 0.5, 0.25];
    const lab = clientLab({ faults: [refused, refused, refused], chance: () => draws.shift() ?? 0 });

    await lab.timers.until(lab.client.stats());

    expect(pausesOf(lab)).toEqual([0, 100, 100]);
  });

  test.each([
    ["seconds", { "retry-after": "7" }, 7000],
    [
      "a date, held against the server's own clock",
      { date: "Tue, 01 Jan 2030 00:00:00 GMT", "retry-after": "Tue, 01 Jan 2030 00:00:09 GMT" },
      9000,
    ],
    ["a date without anything to hold it against", { "retry-after": "Tue, 01 Jan 2030 00:00:09 GMT" }, 0],
    ["nonsense", { "retry-after": "soon" }, 0],
  ])("are at least what Retry-After says: %s", async (_what, headers, least) => {
    const lab = clientLab({ faults: [{ kind: "status", status: 429, headers }], chance: () => 0.5 });

    await lab.timers.until(lab.client.stats());

    expect(pausesOf(lab)).toEqual([least + 50]);
  });

  test("end with the deadline: a wait that goes beyond it is not begun", async () => {
    const lab = clientLab({ faults: () => ({ kind: "status", status: 429, headers: { "retry-after": "3600" } }) });

    const error = await failure(lab.timers.until(lab.client.stats()));

    expect(error.code).toBe("QUOTA_EXCEEDED");
    expect(lab.network.sent).toHaveLength(1);
    expect(lab.timers.nowMs()).toBe(0);
  });

  test("end with the deadline: attempts are cut to it", async () => {
    const silence: NetworkFault = { kind: "silence", when: "before" };
    const lab = clientLab({ faults: () => silence, client: { attemptMs: 400, deadlineMs: 1000 } });

    const error = await failure(lab.timers.until(lab.client.append(key, text("x"))));

    expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    expect(error.message).toContain("no answer within");
    expect(lab.timers.nowMs()).toBeLessThanOrEqual(1000);
    expect(lab.network.sent).toHaveLength(2);
  });
});

describe("what does not pass", () => {
  const problem = (status: number, code: string, more: object = {}): NetworkFault => ({
    kind: "status",
    status,
    headers: { "content-type": "application/problem+json" },
    body: JSON.stringify({ type: "about:blank", status, code, detail: `it is ${code}`, retryable: false, ...more }),
  });

  test.each([
    [400, "INVALID"],
    [401, "UNAUTHENTICATED"],
    [403, "FORBIDDEN"],
    [409, "KEY_REUSED"],
    [410, "GONE"],
    [412, "EXISTS"],
    [413, "TOO_LARGE"],
    [500, "CORRUPT"],
    [500, "UNSUPPORTED_VERSION"],
    [501, "UNSUPPORTED"],
  ])("is told at once: %i %s", async (status, code) => {
    const lab = clientLab({ faults: () => problem(status, code, { bytesMax: 7, line: 3 }) });

    const error = await failure(lab.timers.until(lab.client.append(key, text("x"))));

    expect(error).toMatchObject({ code, message: `it is ${code}`, details: { bytesMax: 7, line: 3, status } });
    expect(lab.network.sent).toHaveLength(1);
  });

  test("is told apart from what does: the last refusal is the error", async () => {
    const lab = clientLab({ faults: () => problem(503, "LOCKED", { retryable: true }), client: { attempts: 3 } });

    expect(await failure(lab.timers.until(lab.client.stats()))).toMatchObject({ code: "LOCKED" });
    expect(lab.network.sent).toHaveLength(3);
  });

  test("repeats CONFLICT, which is many lost races", async () => {
    const lab = clientLab({ faults: [problem(409, "CONFLICT", { retryable: true })] });

    await lab.timers.until(lab.client.append(key, text("x")));

    expect(lab.network.sent).toHaveLength(2);
  });

  test("has a code of this release where a newer server has another", async () => {
    const lab = clientLab({ faults: () => problem(418, "TEAPOT") });

    expect(await failure(lab.client.stats())).toMatchObject({ code: "INVALID", details: { code: "TEAPOT" } });
  });

  test.each([
    ["get", (lab: ClientLab) => lab.client.get(key)],
    ["head", (lab: ClientLab) => lab.client.head(key)],
    ["delete", (lab: ClientLab) => lab.client.delete(key)],
  ])("%s never takes the 404 of something else for absence", async (_verb, call) => {
    const lab = clientLab({ faults: () => ({ kind: "status", status: 404, body: "<html>nothing here" }) });

    const error = await failure(call(lab));

    expect(error).toMatchObject({ code: "INVALID", details: { status: 404 } });
    expect(error.message).toContain("not as Paylode does");
  });

  test("a 200 of something else is no payload either", async () => {
    const lab = clientLab({ faults: () => ({ kind: "status", status: 200, body: "<html>welcome" }) });

    expect(await failure(lab.client.get(key))).toMatchObject({ code: "INVALID" });
    expect(await failure(lab.client.head(key))).toMatchObject({ code: "INVALID" });
  });

  test("HEAD learns the code of a refusal without a body", async () => {
    const lab = clientLab({
      server: () => new Response(null, { status: 500, headers: { "paylode-code": "CORRUPT" } }),
    });

    expect(await failure(lab.client.head(key))).toMatchObject({ code: "CORRUPT" });
    expect(lab.network.sent).toHaveLength(1);
  });

  test("is not that a server stops: the next one is asked", async () => {
    const lab = clientLab({ faults: [problem(503, "CLOSED")] });

    await lab.timers.until(lab.client.stats());

    expect(lab.network.sent).toHaveLength(2);
  });

  test("a redirect that made a GET of a POST is not taken for its answer", async () => {
    const answer = Response.json({ payloads: [] });
    Object.defineProperty(answer, "redirected", { value: true });
    Object.defineProperty(answer, "url", { value: "https://paylode.test/" });
    const lab = clientLab({ server: () => answer });

    const error = await failure(lab.client.appendMany({ group: "g" }, [{ id: "a", bytes: text("x") }]));

    expect(error).toMatchObject({ code: "INVALID" });
    expect(error.message).toContain("https://paylode.test/");
  });
});

describe("an AbortSignal", () => {
  test("ends the wait for an answer, and a pause", async () => {
    for (const fault of [
      { kind: "silence", when: "before" },
      { kind: "status", status: 503 },
    ] satisfies NetworkFault[]) {
      const lab = clientLab({ faults: () => fault });
      const abort = new AbortController();
      const reason = new Error("enough");

      const call = failure(lab.client.append(key, text("x"), { signal: abort.signal }));
      await lab.timers.advance(1);
      abort.abort(reason);

      expect(await call).toMatchObject({ code: "ABORTED", cause: reason });
      expect(lab.network.sent).toHaveLength(1);
    }
  });

  test("that has fired sends nothing", async () => {
    const lab = clientLab();

    const call = lab.client.append(key, text("x"), { signal: AbortSignal.abort() });

    expect(await failure(call)).toMatchObject({ code: "ABORTED" });
    expect(lab.network.sent).toEqual([]);
  });
});

describe("a batch over many groups", () => {
  const items = ["g", "h", "g", "i"].map((group, i) => ({ group, id: `${i}`, bytes: text(`${group} ${i}`) }));
  /** 207: the groups that are named fail so. */
  const partly = (failing: Readonly<Record<string, readonly [status: number, code: string]>>): NetworkFault => ({
    kind: "status",
    status: 207,
    body: JSON.stringify({
      results: items.map(({ group, id }, i) => {
        const [status, code] = failing[group] ?? [200, undefined];
        const location = { version: 0, segment: "s", offset: i, stored: 1, codec: 0, start: 0, length: 1 };
        const outcome = code === undefined ? { location } : { code, detail: `${code} for ${group}` };
        return { line: i + 1, group, id, status, ...outcome };
      }),
    }),
  });

  test("sends again the groups that may pass, whole and under the same key, and no other", async () => {
    const lab = clientLab({ faults: [partly({ g: [503, "UNAVAILABLE"], i: [500, "CORRUPT"] })] });

    const results = await lab.timers.until(lab.client.appendGroups(items));

    expect(results.map(({ kind }) => kind)).toEqual(["stored", "stored", "stored", "failed"]);
    expect(results[3]).toMatchObject({ group: "i", id: "3", error: { code: "CORRUPT", message: "CORRUPT for i" } });
    const [first, second] = lab.network.sent;
    expect(second && keyOf(second)).toBe(first && keyOf(first));
    expect(second?.text.match(/"id":"\d"/g)).toEqual(['"id":"0"', '"id":"2"']);
    expect(await lab.store.get({ tenant: "t", group: "g", id: "2" })).toEqual(text("g 2"));
  });

  test("tells what failed to the end, beside what was stored", async () => {
    const failing = { h: [503, "UNAVAILABLE"] } as const;
    const again: NetworkFault = { kind: "status", status: 503, headers: { "paylode-code": "UNAVAILABLE" } };
    const lab = clientLab({ faults: (request) => (request.text.includes('"0"') ? partly(failing) : again) });

    const results = await lab.timers.until(lab.client.appendGroups(items));

    expect(results.map(({ kind }) => kind)).toEqual(["stored", "failed", "stored", "stored"]);
    expect(results[1]).toMatchObject({ error: { code: "UNAVAILABLE" } });
  });

  test("is refused whole with the line at fault, and stores nothing", async () => {
    const lab = clientLab({ payloadBytesMax: 3 });

    const error = await failure(lab.client.appendGroups([...items, { id: "long", bytes: text("longer") }]));

    expect(error).toMatchObject({ code: "TOO_LARGE", details: { line: 5 } });
    expect(await lab.store.size({ tenant: "t" })).toBe(0);
  });

  test("does not take fewer results than lines for an answer", async () => {
    const lab = clientLab({ faults: () => ({ kind: "status", status: 200, body: '{"payloads":[]}' }) });

    expect(await failure(lab.client.appendGroups(items))).toMatchObject({ code: "INVALID" });
  });
});

async function failure(call: Promise<unknown>): Promise<PayloadStoreError> {
  const error: unknown = await call.catch((caught: unknown) => caught);
  if (!isPayloadStoreError(error)) throw new Error(`expected an error of the store, got ${String(error)}`);
  return error;
}
