import { describe, expect, test } from "vitest";
import { SeededRandom } from "../../bench/agent-trace-random.ts";
import type { PayloadStoreError, PayloadWriter, WriterExit } from "../../core/entries/client.ts";
import { collect, rejectsWith } from "../conformance/expectations.ts";
import { noise, text } from "../conformance/sample-bytes.ts";
import { clientLab, keyOf, type ClientLab } from "../support/client-lab.ts";
import type { NetworkFault, SentRequest } from "../support/faulty-fetch.ts";

const idsOf = ({ text: lines }: SentRequest): string[] => {
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { id: string }).id);
};
const batchesOf = ({ network }: ClientLab): string[][] => network.sent.map(idsOf);
const valuesOf = async ({ store }: ClientLab, group: string): Promise<Record<string, string>> => {
  const contents = await collect(store.contents({ tenant: "t", group }));
  return Object.fromEntries(contents.map(({ id, body }) => [id, new TextDecoder().decode(body)]));
};
/** Writes payloads named by numbers to one group, or to several in turn. */
const writeAll = (
  writer: PayloadWriter,
  ids: readonly number[],
  groups: readonly string[] = ["g"],
): Promise<unknown>[] =>
  ids.map((i) => writer.write({ group: groups[i % groups.length]!, id: `${i}` }, text(`value ${i}`)));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe("a writer's batch", () => {
  test("is sent when it has waited long enough, with all that came meanwhile, whatever the groups", async () => {
    const lab = clientLab();
    const writer = lab.client.writer({ maxDelayMs: 50 });

    const acknowledged = writeAll(writer, upTo(5), ["g", "h"]);
    await lab.timers.advance(49);
    expect(batchesOf(lab)).toEqual([]);
    await lab.timers.advance(1);

    expect(batchesOf(lab)).toEqual([["0", "1", "2", "3", "4"]]);
    expect(lab.network.sent[0]?.url).toBe("http://paylode.test/v1/t/payloads");
    const locations = await Promise.all(acknowledged);
    expect(await lab.store.getAt({ tenant: "t" }, locations[4] as never)).toEqual(text("value 4"));
    expect(await valuesOf(lab, "h")).toEqual({ 1: "value 1", 3: "value 3" });
  });

  test("is sent at once when it has enough payloads, or enough bytes", async () => {
    const many = clientLab();
    void writeAll(many.client.writer({ maxPayloads: 3 }), upTo(7));
    await many.timers.advance(1);
    expect(batchesOf(many)).toEqual([
      ["0", "1", "2"],
      ["3", "4", "5"],
    ]);

    const long = clientLab();
    const writer = long.client.writer({ maxBytes: 1000 });
    for (const id of ["a", "b", "c"]) void writer.write({ group: "g", id }, text("x".repeat(400)));
    await long.timers.advance(1);
    expect(batchesOf(long)).toEqual([["a", "b"]]);
    await long.timers.advance(100);
    expect(batchesOf(long)).toEqual([["a", "b"], ["c"]]);
  });

  test("holds a payload alone that is longer than a batch", async () => {
    const lab = clientLab();
    const writer = lab.client.writer({ maxBytes: 1000 });

    void writer.write({ group: "g", id: "a" }, text("short"));
    void writer.write({ group: "g", id: "b" }, noise(5000, 1));
    void writer.write({ group: "g", id: "c" }, text("short"));
    await lab.timers.until(writer.flush());

    expect(batchesOf(lab)).toEqual([["a"], ["b"], ["c"]]);
    expect(await lab.store.get({ tenant: "t", group: "g", id: "b" })).toEqual(noise(5000, 1));
  });

  test("holds an id of a group once: the next value of it goes into the next one", async () => {
    const lab = clientLab();
    const writer = lab.client.writer();

    for (const [group, value] of [
      ["g", "1"],
      ["h", "1"],
      ["g", "2"],
      ["h", "2"],
    ] as const) {
      void writer.write({ group, id: "a" }, text(value));
    }
    await lab.timers.until(writer.flush());

    expect(lab.network.sent.map(({ text: lines }) => lines.match(/"group":"."/g))).toEqual([
      ['"group":"g"', '"group":"h"'],
      ['"group":"g"', '"group":"h"'],
    ]);
    expect(await valuesOf(lab, "g")).toEqual({ a: "2" });
  });

  test("gathers what is written while another is under way", async () => {
    const lab = clientLab({ faults: [{ kind: "status", status: 503 }] });
    const writer = lab.client.writer({ maxDelayMs: 0 });

    void writeAll(writer, [0]);
    await lab.timers.advance(0);
    void writeAll(writer, [1, 2, 3]);
    await lab.timers.until(writer.flush());

    expect(batchesOf(lab)).toEqual([["0"], ["0"], ["1", "2", "3"]]);
  });

  test("keeps content types, attributes and bytes that are no text, and takes the bytes as they are when written", async () => {
    const lab = clientLab();
    const writer = lab.client.writer();
    const bytes = noise(500, 1);
    const wanted = bytes.slice();

    void writer.write({ id: 7n }, bytes, { contentType: "image/png", attributes: { kind: "k" } });
    bytes.fill(0);
    await lab.timers.until(writer.flush());

    const payload = await lab.store.read({ tenant: "t", id: 7n });
    expect(payload).toMatchObject({ contentType: "image/png", attributes: { kind: "k" } });
    expect(payload?.body).toEqual(wanted);
  });
});

describe("a payload that fails for good", () => {
  test("fails alone, where the server names its line", async () => {
    const failed: unknown[] = [];
    const lab = clientLab({ payloadBytesMax: 10 });
    const writer = lab.client.writer({ onError: (error, key) => failed.push([error.code, key]) });
    const ids = ["a", "long", "b", "longer", "c"];

    const settled = Promise.allSettled(ids.map((id) => writer.write({ group: "g", id }, text(id.repeat(3)))));
    const error = await rejectsWith("TOO_LARGE", () => lab.timers.until(writer.flush()));

    expect(error.details["payloads"]).toBe(2);
    expect((await settled).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect(failed).toEqual([
      ["TOO_LARGE", { group: "g", id: "long" }],
      ["TOO_LARGE", { group: "g", id: "longer" }],
    ]);
    expect(Object.keys(await valuesOf(lab, "g"))).toEqual(["a", "b", "c"]);
    await writer.flush();
  });

  test("is found where only the whole batch is said to be too large", async () => {
    const tooLarge: NetworkFault = { kind: "status", status: 413 };
    const lab = clientLab({ faults: ({ text: lines }) => (lines.includes('"5"') ? tooLarge : undefined) });
    const writer = lab.client.writer();

    const settled = Promise.allSettled(writeAll(writer, upTo(8)));
    await rejectsWith("TOO_LARGE", () => lab.timers.until(writer.flush()));

    expect((await settled).map(({ status }) => status === "fulfilled")).toEqual(upTo(8).map((i) => i !== 5));
    expect(Object.keys(await valuesOf(lab, "g"))).toEqual(["0", "1", "2", "3", "4", "6", "7"]);
  });

  test("shares its fate with all where the client itself is refused, and the writer goes on", async () => {
    const lab = clientLab({ faults: [{ kind: "status", status: 401 }] });
    const writer = lab.client.writer();

    const settled = Promise.allSettled(writeAll(writer, upTo(3)));
    await rejectsWith("UNAUTHENTICATED", () => lab.timers.until(writer.flush()));
    expect((await settled).every(({ status }) => status === "rejected")).toBe(true);

    void writeAll(writer, [3]);
    await lab.timers.until(writer.flush());
    expect(await valuesOf(lab, "g")).toEqual({ 3: "value 3" });
  });

  test("is known before it is sent where the client can tell, and takes nothing else with it", async () => {
    const failed: string[] = [];
    const lab = clientLab();
    const writer = lab.client.writer({ onError: (error) => failed.push(error.code) });

    void writer.write({ group: "..", id: "a" }, text("x"));
    void writer.write({ group: "g", id: "a" }, "text" as never);
    void writer.write({ group: "g", id: "b" }, text("good"));

    await rejectsWith("INVALID", () => lab.timers.until(writer.flush()));
    expect(failed).toEqual(["INVALID", "INVALID"]);
    expect(await valuesOf(lab, "g")).toEqual({ b: "good" });
  });

  test("is one that nobody acknowledged within the deadline; those behind it are tried", async () => {
    const lab = clientLab({
      faults: ({ text: lines }) => (lines.includes("value 0") ? { kind: "reset", when: "before" } : undefined),
    });
    const writer = lab.client.writer({ maxPayloads: 1, deadlineMs: 10_000 });

    const settled = Promise.allSettled(writeAll(writer, [0, 1]));
    await rejectsWith("UNAVAILABLE", () => lab.timers.until(writer.flush()));

    expect((await settled).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(lab.timers.nowMs()).toBeLessThanOrEqual(10_000);
  });
});

describe("back-pressure", () => {
  test("ready waits for room, and write refuses beyond it", async () => {
    const lab = clientLab();
    const writer = lab.client.writer({ maxPendingBytes: 1000, maxDelayMs: 50 });
    let isReady = false;

    for (const id of ["a", "b"]) void writer.write({ group: "g", id }, text("x".repeat(600)));
    expect(writer.pendingBytes).toBeGreaterThan(1000);
    const ready = writer.ready.then(() => (isReady = true));
    await rejectsWith("TOO_LARGE", () => writer.write({ group: "g", id: "c" }, text("x")));
    await lab.timers.advance(49);
    expect(isReady).toBe(false);

    await lab.timers.until(ready);
    expect(writer.pendingBytes).toBe(0);
    void writer.write({ group: "g", id: "d" }, text("x"));
    await rejectsWith("TOO_LARGE", () => lab.timers.until(writer.flush()));
    expect(Object.keys(await valuesOf(lab, "g"))).toEqual(["a", "b", "d"]);
  });

  test("a producer that awaits ready loses nothing, however slow the server", async () => {
    const lab = clientLab();
    const writer = lab.client.writer({ maxPendingBytes: 2000, maxBytes: 1000 });

    const produce = async () => {
      for (const i of upTo(200)) {
        await writer.ready;
        void writer.write({ group: "g", id: `${i}` }, text("x".repeat(100)));
        expect(writer.pendingBytes).toBeLessThan(2200);
      }
      await writer.close();
    };
    await lab.timers.until(produce());

    expect(await lab.store.size({ tenant: "t" })).toBe(200);
  });
});

describe("the end of a writer", () => {
  test("close sends what waits, refuses what comes later, and may be called again", async () => {
    const lab = clientLab();
    const writer = lab.client.writer({ maxDelayMs: 10_000 });

    const acknowledged = writeAll(writer, upTo(3));
    await lab.timers.until(writer.close());

    await Promise.all(acknowledged);
    expect(lab.timers.nowMs()).toBe(0);
    await rejectsWith("CLOSED", () => writer.write({ group: "g", id: "late" }, text("x")));
    await rejectsWith("CLOSED", () => writer.close());
    await writer.close();
  });

  test("tells the platform once how to end it, and takes that back when it is closed", async () => {
    const lab = clientLab();
    const exits: WriterExit[] = [];
    let isForgotten = false;
    const writer = lab.client.writer({
      maxDelayMs: 10_000,
      onExit: (exit) => {
        exits.push(exit);
        return () => (isForgotten = true);
      },
    });

    void writeAll(writer, upTo(2));
    await lab.timers.until(exits[0]!.flush());
    expect(await lab.store.size({ tenant: "t" })).toBe(2);
    expect(exits).toHaveLength(1);

    await writer.close();
    expect(isForgotten).toBe(true);
  });

  test("a flush for the platform does not reject", async () => {
    const lab = clientLab({ faults: () => ({ kind: "status", status: 401 }) });
    let flush = async (): Promise<void> => {};
    const writer = lab.client.writer({ onExit: (exit) => void (flush = exit.flush) });

    void writeAll(writer, [0]);

    await lab.timers.until(flush());
  });
});

describe("leave", () => {
  const keptAlive = ({ network }: ClientLab): SentRequest[] =>
    network.sent.filter(({ init }) => init.keepalive === true);

  test("hands what waits to requests that outlive the page, at once and in one piece", async () => {
    const lab = clientLab();
    const writer = lab.client.writer({ maxDelayMs: 10_000 });

    const acknowledged = writeAll(writer, upTo(4), ["g", "h"]);
    writer.leave();

    expect(keptAlive(lab).map(idsOf)).toEqual([["0", "1", "2", "3"]]);
    // A page that lives on learns what became of it.
    await lab.timers.until(Promise.all(acknowledged));
    expect(lab.network.sent).toHaveLength(1);
  });

  test("sends the batch under way once more under its key, and continues no group beside it", async () => {
    const lab = clientLab({ faults: ({ init }) => (init.keepalive ? undefined : { kind: "silence", when: "after" }) });
    const writer = lab.client.writer({ maxPayloads: 2 });

    void writeAll(writer, [0, 1], ["g", "h"]);
    void writeAll(writer, [2, 3, 4, 5], ["g", "h", "i", "j"]);
    await lab.timers.advance(0);
    writer.leave();
    await lab.timers.advance(0);

    const [underWay, again, others] = lab.network.sent;
    expect(lab.network.sent).toHaveLength(3);
    expect([again, others].every((request) => request?.init.keepalive)).toBe(true);
    expect(keyOf(again!)).toBe(keyOf(underWay!));
    expect(again?.text).toBe(underWay?.text);
    expect(idsOf(others!)).toEqual(["2", "3"]);
    expect((await lab.store.verify()).frames).toBe(4);
  });

  test("keeps to 64 KiB in all, and to the first payloads of each group", async () => {
    const lab = clientLab();
    const writer = lab.client.writer({ maxDelayMs: 10_000, maxPayloads: 1000, maxBytes: 10_000_000 });
    const payloads = [
      ["g", "1", 30_000],
      ["h", "1", 40_000],
      ["g", "2", 20_000],
      ["h", "2", 10],
      ["i", "1", 10],
    ] as const;

    for (const [group, id, length] of payloads) void writer.write({ group, id }, text("x".repeat(length)));
    writer.leave();
    const [request] = keptAlive(lab);

    expect((request?.init.body as Uint8Array | undefined)?.length).toBeLessThanOrEqual(65_536);
    const sent = request?.text.match(/"group":".","id":"."/g);
    expect(sent).toEqual(['"group":"g","id":"1"', '"group":"g","id":"2"', '"group":"i","id":"1"']);
    await lab.timers.until(writer.flush());
    expect(await lab.store.size({ tenant: "t" })).toBe(5);
  });

  test("loses and reorders nothing when the page lives on", async () => {
    const lab = clientLab({ faults: [undefined, { kind: "reset", when: "after" }, { kind: "reset", when: "before" }] });
    const writer = lab.client.writer({ maxPayloads: 3 });

    for (const i of upTo(20)) {
      void writer.write({ group: `g${i % 2}`, id: `${i % 5}` }, text(`value ${i}`));
      if (i % 7 === 6) writer.leave();
    }
    await lab.timers.until(writer.close());

    expect(await valuesOf(lab, "g0")).toEqual({
      0: "value 10",
      1: "value 16",
      2: "value 12",
      3: "value 18",
      4: "value 14",
    });
    expect(await valuesOf(lab, "g1")).toEqual({
      0: "value 15",
      1: "value 11",
      2: "value 17",
      3: "value 13",
      4: "value 19",
    });
  });
});

describe("under a network that does everything wrong", () => {
  const faults: readonly NetworkFault[] = [
    { kind: "reset", when: "before" },
    { kind: "reset", when: "after" },
    { kind: "status", status: 503, headers: { "retry-after": "1" } },
    { kind: "status", status: 429 },
    { kind: "cut", ending: "broken" },
    { kind: "cut", ending: "quiet" },
    { kind: "silence", when: "before" },
    { kind: "silence", when: "after" },
  ];
  const seeds = upTo(Number(process.env["WRITER_SEEDS"] ?? 40)).map((i) => Number(process.env["WRITER_SEED"] ?? 1) + i);

  // Suspected: a retry in another composition, a group continued beside its own past, an answer taken for another's.
  test.each(seeds)(
    "nothing is lost, nothing doubled, and the last value wins (WRITER_SEED=%i WRITER_SEEDS=1)",
    async (seed) => {
      const random = new SeededRandom(seed);
      const lab = clientLab({
        chance: () => random.between(0, 1000) / 1000,
        faults: () => (random.between(1, 10) <= 4 ? random.pick(faults) : undefined),
        client: { attemptMs: 5_000 },
      });
      const errors: PayloadStoreError[] = [];
      const writer = lab.client.writer({
        maxPayloads: random.between(1, 12),
        maxBytes: random.between(200, 3000),
        maxDelayMs: random.between(0, 200),
        maxPendingBytes: random.between(300, 5000),
        deadlineMs: 40_000_000,
        onError: (error) => errors.push(error),
      });
      const wanted = new Map<string, Map<string, string>>();

      const produce = async () => {
        for (const i of upTo(120)) {
          const group = `g${random.between(0, 3)}`;
          const id = `${random.between(0, 9)}`;
          const value = `${i} ${"x".repeat(random.between(0, 200))}`;
          await writer.ready;
          void writer.write({ group, id }, text(value));
          wanted.set(group, (wanted.get(group) ?? new Map<string, string>()).set(id, value));
          if (random.between(1, 40) === 1) writer.leave();
          if (random.between(1, 20) === 1) await writer.flush();
        }
        await writer.close();
      };
      await lab.timers.until(produce());

      expect(errors).toEqual([]);
      for (const [group, values] of wanted) {
        // Also in the order in which the ids were first written.
        expect(await valuesOf(lab, group)).toEqual(Object.fromEntries(values));
        const listed = await collect(lab.store.list({ tenant: "t", group }));
        expect(listed.map(({ id }) => id)).toEqual([...values.keys()]);
      }
      const taken = lab.network.sent.filter(({ answered }) => answered === 200);
      const commits = new Set(
        taken.flatMap(
          (request) => request.text.match(/"group":"g\d"/g)?.map((group) => `${keyOf(request)} ${group}`) ?? [],
        ),
      );
      expect((await lab.store.verify()).frames).toBe(commits.size);
    },
  );
});
