import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadline } from "../../core/adapters/aws/deadline.ts";
import { DynamoOffsetIndex } from "../../core/adapters/aws/dynamo-offset-index.ts";
import { knowledgeMsMax } from "../../core/rows/knowledge.ts";
import { S3 } from "../../core/adapters/aws/s3.ts";
import { S3SegmentStore } from "../../core/adapters/aws/s3-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { encodePage } from "../../core/page/page.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import {
  freshPlaceOf,
  type Handler,
  type HandlerOptions,
  openHandler,
  startFaultyServers,
} from "../support/aws/handlers.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";

const minute = 60_000;
const noon = Date.UTC(2026, 10, 21, 12);

/** The clock of the servers, and how far that of the machine, which signs requests, is off. */
let serverMs = noon;
let machineOffMs = 0;

// Timers go on: only what tells the date is ours.
vi.useFakeTimers({ toFake: ["Date"] });
const servers = await startFaultyServers(() => serverMs);
afterAll(async () => {
  vi.useRealTimers();
  await servers.close();
});
beforeEach(() => setClocks(noon));

function setClocks(ms: number, offMs = 0): void {
  serverMs = ms;
  machineOffMs = offMs;
  vi.setSystemTime(serverMs + machineOffMs);
}

/** Time goes by, for the machine too unless its clock stood still. */
function pass(ms: number, { machineStands = false } = {}): void {
  setClocks(serverMs + ms, machineStands ? machineOffMs - ms : machineOffMs);
}

const key = { tenant: "acme", group: "g", id: "a" };
const small = prose(300, 1);
const large = noise(9000, 1);
const heldUp = { code: "UNAVAILABLE", message: expect.stringContaining("held up for too long") };
const oneTry: HandlerOptions = { s3Config: { maxAttempts: 1 }, dynamoConfig: { maxAttempts: 1 } };

async function opened(options: HandlerOptions = oneTry): Promise<Handler & { readonly place: AwsPlace }> {
  const place = await freshPlaceOf(servers);
  return { ...(await openHandler(servers, place, options)), place };
}

/** Where in its request a process is frozen: before it is signed, or after it was, and checked. */
const moments = {
  "before it signs": { step: "build", priority: "low" },
  "after it signed": { step: "deserialize", priority: "low" },
} as const;

/** Freezes the process in the next request of one kind. */
function freezeIn(
  { clients }: Handler,
  command: "PutItemCommand" | "PutObjectCommand" | "QueryCommand",
  moment: keyof typeof moments,
  meanwhile: () => void,
): void {
  let frozen = false;
  const freeze = (next: (args: never) => Promise<never>, context: { commandName?: string }) => async (args: never) => {
    if (!frozen && context.commandName === command) {
      frozen = true;
      meanwhile();
    }
    return next(args);
  };
  const client = command === "PutObjectCommand" ? clients.s3 : clients.dynamo;
  const stack = client.middlewareStack as { add(middleware: unknown, options: object): void };
  stack.add(freeze, { ...moments[moment], name: `freeze ${command}`, override: true });
}

/** Objects that were stored for the tenant. */
function objectsOf({ place }: { readonly place: AwsPlace }): number {
  return servers.s3.log.entries({ operation: "PutObject", resource: place.bucket }).length;
}

function putsOf({ place }: { readonly place: AwsPlace }): readonly (number | undefined)[] {
  return servers.dynamo.log
    .entries({ operation: "PutItem", resource: place.table, key: /^acme\// })
    .map(({ status }) => status);
}

/** Each way to commit that rests on something, and what makes it so. */
const resting: readonly (readonly [
  string,
  (handler: Handler) => Promise<unknown>,
  (handler: Handler) => Promise<unknown>,
])[] = [
  [
    "an append under a remembered number",
    ({ store }) => store.append(key, small),
    ({ store }) => store.append({ ...key, id: "b" }, small),
  ],
  ["a put-if-absent", async () => {}, ({ store }) => store.append(key, small, { ifAbsent: true })],
  ["an idempotent append", async () => {}, ({ store }) => store.append(key, small, { idempotencyKey: "k" })],
  ["a delete", ({ store }) => store.append(key, small), ({ store }) => store.delete(key)],
  ["a delete of a group", ({ store }) => store.append(key, small), ({ store }) => store.deleteGroup(key)],
  ["an append whose segment was stored", async () => {}, ({ store }) => store.append(key, large)],
];

describe("a segment", () => {
  test("is not stored when the payload came too long ago: what erased it may have been seen through", async () => {
    const handler = await opened();
    // It looks whether the id is free, and is frozen there.
    freezeIn(handler, "QueryCommand", "before it signs", () => pass(knowledgeMsMax + minute));

    await expect(handler.store.append(key, large, { ifAbsent: true })).rejects.toMatchObject(heldUp);

    expect(objectsOf(handler)).toBe(0);
    await handler.store.append(key, large, { ifAbsent: true });
    expect(objectsOf(handler)).toBe(1);
  });

  test("of merged pages is not stored when these were read too long ago", async () => {
    const handler = await opened();
    for (const id of ["a", "b", "c"]) await handler.store.append({ ...key, id }, large);
    pass(60 * minute);
    const before = objectsOf(handler);
    let queried = 0;
    // The group has been read; its segments are being read.
    const freeze =
      (next: (args: never) => Promise<never>, context: { commandName?: string }) => async (args: never) => {
        if (context.commandName === "GetObjectCommand" && queried++ === 0) pass(knowledgeMsMax + minute);
        return next(args);
      };
    const stack = handler.clients.s3.middlewareStack as { add(middleware: unknown, options: object): void };
    stack.add(freeze, { step: "build", priority: "low", name: "freeze", override: true });

    await expect(handler.store.compact()).rejects.toMatchObject(heldUp);

    expect(objectsOf(handler)).toBe(before);
  });
});

describe.each(resting)("%s", (_what, before, commit) => {
  test("is not sent when the process was frozen for longer than what it rests on may be old", async () => {
    const handler = await opened();
    await before(handler);
    const sent = putsOf(handler).length;
    freezeIn(handler, "PutItemCommand", "before it signs", () => pass(knowledgeMsMax + 1000));

    await expect(commit(handler)).rejects.toMatchObject(heldUp);

    expect(putsOf(handler).length).toBe(sent);
    // Nothing of it is left: the next one asks anew.
    await commit(handler);
  });

  test("is sent when the process was frozen for less", async () => {
    const handler = await opened();
    await before(handler);
    freezeIn(handler, "PutItemCommand", "before it signs", () => pass(knowledgeMsMax - minute));

    await commit(handler);

    expect(putsOf(handler).at(-1)).toBe(200);
  });

  test("is refused by the server when the process was frozen after its check", async () => {
    const handler = await opened();
    await before(handler);
    freezeIn(handler, "PutItemCommand", "after it signed", () => pass(60 * minute));

    await expect(commit(handler)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      details: { awsError: "InvalidSignatureException" },
    });

    expect(putsOf(handler).at(-1)).toBe(400);
  });

  test("is not signed again after that: each try is checked", async () => {
    const handler = await opened({});
    await before(handler);
    const sent = putsOf(handler).length;
    freezeIn(handler, "PutItemCommand", "after it signed", () => pass(60 * minute));

    await expect(commit(handler)).rejects.toMatchObject(heldUp);

    expect(putsOf(handler).slice(sent)).toEqual([400]);
  });

  test("is not sent again when it is the wait for another try that takes too long", async () => {
    const handler = await opened({});
    await before(handler);
    const sent = putsOf(handler).length;
    const fault = servers.dynamo.fault({ kind: "internal-error", operation: "PutItem", resource: handler.place.table });
    void fault.struck.then(() => pass(knowledgeMsMax + minute));

    await expect(commit(handler)).rejects.toMatchObject(heldUp);

    expect(putsOf(handler).slice(sent)).toEqual([500]);
  });

  test("is not sent when the machine's clock is wrong, and the SDK corrects it", async () => {
    // A frame is named by the machine's clock, and not stored where that is late.
    setClocks(noon, 60 * minute);
    const handler = await opened({});
    await before(handler);
    const sent = putsOf(handler).length;
    freezeIn(handler, "PutItemCommand", "before it signs", () => pass(knowledgeMsMax + minute));

    await expect(commit(handler)).rejects.toMatchObject(heldUp);

    expect(putsOf(handler).length).toBe(sent);
    await commit(handler);
  });

  test("is not sent when the machine's clock stood still meanwhile, and the SDK corrects it", async () => {
    const handler = await opened({});
    await before(handler);
    const sent = putsOf(handler).length;
    freezeIn(handler, "PutItemCommand", "before it signs", () => pass(60 * minute, { machineStands: true }));

    await expect(commit(handler)).rejects.toMatchObject(heldUp);

    // It was signed with the old date, refused, and the next try's date was an hour later.
    expect(putsOf(handler).slice(sent)).toEqual([400]);
  });
});

describe("a commit that is on its way", () => {
  test.each([
    ["is taken", 4, 200],
    ["is refused", 6, 400],
  ])("%s when it arrives %i minutes after it was signed", async (_what, minutes, status) => {
    const handler = await opened();
    const late = servers.dynamo.fault({
      kind: "hold",
      when: "before",
      operation: "PutItem",
      resource: handler.place.table,
    });
    const committing = handler.store.append(key, small).catch((error: unknown) => error);
    await late.struck;
    pass(minutes * minute);
    late.release();
    await committing;

    expect(putsOf(handler)).toEqual([status]);
    expect(await handler.store.has(key)).toBe(status === 200);
  });
});

describe("a new group", () => {
  test("takes no first row that was made too long ago: the age of a frame is that of its row", async () => {
    const handler = await opened();
    freezeIn(handler, "PutItemCommand", "before it signs", () => pass(24 * 60 * minute));

    await expect(handler.store.append(key, small)).rejects.toMatchObject(heldUp);
    await handler.store.append(key, small);

    sameBytes(await handler.store.get(key), small);
  });
});

describe("a frame", () => {
  test("is not put in a segment when the process was frozen since that was named", async () => {
    const handler = await opened();
    freezeIn(handler, "PutObjectCommand", "before it signs", () => pass(knowledgeMsMax + 1000));

    await expect(handler.store.append(key, large)).rejects.toMatchObject(heldUp);

    expect(servers.s3.log.count({ operation: "PutObject", resource: handler.place.bucket })).toBe(0);
    expect(putsOf(handler)).toEqual([]);
  });

  test("is refused when it arrives a quarter of an hour after it was signed, and no row names it", async () => {
    const handler = await opened();
    const late = servers.s3.fault({
      kind: "hold",
      when: "before",
      operation: "PutObject",
      resource: handler.place.bucket,
    });
    const storing = handler.store.append(key, large).catch((error: unknown) => error);
    await late.struck;
    pass(16 * minute);
    late.release();

    expect(await storing).toMatchObject({ code: "UNAVAILABLE", details: { awsError: "RequestTimeTooSkewed" } });
    expect(putsOf(handler)).toEqual([]);
  });

  test("is not stored by a machine whose clock is late: its name would be older than it is", async () => {
    setClocks(noon, -60 * minute);
    const { store } = await opened({});

    for (const bytes of [large, small]) {
      await expect(store.append(key, bytes)).rejects.toMatchObject({
        message: expect.stringContaining("its clock is wrong"),
      });
    }
  });
});

describe("an index", () => {
  const record = { tenant: "acme", group: "g", sequence: 1 };
  const page = { commitId: new Uint8Array(16), clearsGroup: true, deleted: [], blocks: [], entries: [] };

  async function openedIndex() {
    const place = await freshPlaceOf(servers);
    const shared = {
      clock: { nowMs: () => Date.now() },
      random: new SystemRandom(),
      digest: nodeDigest,
      deadline: new Deadline(5000),
    };
    const segments = new S3SegmentStore({ ...shared, s3: new S3(servers.s3.client()), bucket: place.bucket });
    const frames = new FrameReader(segments, nodeDigest);
    const secret = new Uint8Array(16);
    const dynamo = { client: servers.dynamo.client({ maxAttempts: 1 }), table: place.table };
    const index = new DynamoOffsetIndex({ ...shared, ...dynamo, secret, frames, indexed: ["user"] });
    const placed = () =>
      segments.append("acme", {
        kind: "tombstone",
        group: "g",
        sequence: 1,
        timeMs: 0,
        page: encodePage(page),
        blocks: [],
      });
    return { index, placed, place };
  }

  test("refuses a page whose attributes' rows were put long ago, and puts them again for who tries again", async () => {
    const { index, placed, place } = await openedIndex();
    const entry = { id: "a", bytes: 0, etag: "0".repeat(32), attributes: { user: "u1" } };
    const found = { ...page, entries: [entry as never] };
    const finds = () => servers.dynamo.log.count({ operation: "PutItem", resource: place.table, key: /^~find/ });
    index.prepare("acme", "g", found);
    await expect.poll(finds).toBe(1);
    pass(knowledgeMsMax + 1000);

    await expect(index.commit({ ...record, place: await placed() }, found)).rejects.toMatchObject(heldUp);
    expect(finds()).toBe(1);
    expect(await index.commit({ ...record, place: await placed() }, found)).toEqual({ kind: "committed" });
    expect(finds()).toBe(2);
  });

  test("refuses a number that it gave long ago, also where all that followed is new", async () => {
    const { index, placed, place } = await openedIndex();
    await index.commit({ ...record, place: await placed() }, page);

    const sequence = (await index.lastSequence("acme", "g")) + 1;
    pass(knowledgeMsMax + 1000);
    const held = { ...record, sequence, place: await placed() };
    await expect(index.commit(held, page)).rejects.toMatchObject(heldUp);

    expect(putsOf({ place })).toEqual([200]);
  });

  test("refuses a number of which it does not know any more why it is the next, and asks before it says so", async () => {
    const { index, placed, place } = await openedIndex();
    const held = { ...record, sequence: 5, place: await placed() };

    expect(await index.commit(held, page)).toEqual({ kind: "taken", last: 0 });

    expect(putsOf({ place })).toEqual([]);
    expect(servers.dynamo.log.count({ operation: "GetItem", resource: place.table })).toBe(1);
  });
});

describe("a table that is made anew", () => {
  test("takes in segments of any age", async () => {
    const { store, clients, place } = await opened({ placement: "segments" });
    await store.append(key, small);
    await store.append({ ...key, id: "b" }, large);
    await store.delete(key);
    pass(40 * 24 * 60 * minute);

    const table = await servers.dynamo.freshTable();
    const rebuilt = (await openHandler(servers, { ...place, table })).store;
    expect(await rebuilt.rebuildIndex()).toMatchObject({ pages: 3, groups: 1, damage: [] });
    sameBytes(await rebuilt.get({ ...key, id: "b" }), large);
    expect(await rebuilt.has(key)).toBe(false);
    clients.s3.destroy();
  });
});
