import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CompactionReport, CompactOptions } from "../../core/compaction/compaction.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { PayloadStoreError } from "../../core/errors.ts";
import { createApp } from "../../functions/app.ts";
import { BackgroundCompaction, type BackgroundOptions } from "../../functions/background-compaction.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";
import { noise } from "../conformance/sample-bytes.ts";

const nothing = await openMemory().compact({});

/** Something to compact that does what a test says, and tells of its runs. */
class Compacted {
  readonly asked: CompactOptions[] = [];
  #awaited: { readonly runs: number; readonly begun: () => void } | undefined;
  readonly #run: (options: CompactOptions, number: number) => Promise<CompactionReport>;

  constructor(run: (options: CompactOptions, number: number) => Promise<CompactionReport> = async () => nothing) {
    this.#run = run;
  }

  compact(options: CompactOptions): Promise<CompactionReport> {
    this.asked.push(options);
    if (this.asked.length >= (this.#awaited?.runs ?? Infinity)) this.#awaited?.begun();
    return this.#run(options, this.asked.length);
  }

  /** Resolves when so many runs have begun, in all. */
  async begun(runs: number): Promise<void> {
    if (this.asked.length >= runs) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#awaited = { runs, begun: resolve };
    await promise;
  }
}

/** Longer than a compaction waits that runs each millisecond. */
const aWhile = () => sleep(30);

/** A run that goes on until it is stopped. */
function untilAborted({ signal }: CompactOptions): Promise<CompactionReport> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(new PayloadStoreError("ABORTED", "the caller aborted")));
  });
}

describe("compaction in the background", () => {
  let background: BackgroundCompaction | undefined;
  const begin = (store: Compacted, options: Partial<BackgroundOptions> = {}) =>
    (background = new BackgroundCompaction(store, { everyMs: 1, ...options }));
  afterEach(() => background?.stop());

  test("runs again and again, each time for a minute at most, and tells what it did", async () => {
    const store = new Compacted();
    const told: CompactionReport[] = [];
    begin(store, { graceMs: 7, onRun: (report) => told.push(report) });

    await store.begun(3);

    expect(store.asked[0]).toMatchObject({ timeMsMax: 60_000, graceMs: 7, signal: expect.any(AbortSignal) });
    expect(told.length).toBeGreaterThanOrEqual(2);
    expect(told[0]).toBe(nothing);
  });

  test("goes on at once where its time was over, unless it could do nothing", async () => {
    const segments = [{ tenant: "acme", segment: "s", bytes: 1, into: [] }];
    const store = new Compacted(async (_options, number) => ({
      ...nothing,
      complete: number > 3,
      segments: number > 2 ? [] : segments,
    }));
    const compaction = begin(store, { everyMs: 3_600_000 });
    await compaction.now();
    await aWhile();
    // Who asks for one asks again.
    expect(store.asked).toHaveLength(1);
    await compaction.stop();

    begin(store, { everyMs: 500 });
    await store.begun(3);
    await aWhile();

    expect(store.asked).toHaveLength(3);
  });

  test("begins no run while it is paused, and goes on when it is resumed", async () => {
    const store = new Compacted();
    const compaction = begin(store);
    await store.begun(1);

    compaction.pause();
    compaction.pause();
    await aWhile();
    const before = store.asked.length;
    await aWhile();
    expect(store.asked).toHaveLength(before);
    expect(compaction.state).toEqual({ paused: true, running: false, everySeconds: 0.001 });

    compaction.resume();
    await store.begun(before + 2);
    expect(compaction.state.paused).toBe(false);
  });

  test("runs when it is asked to, also while it is paused, with the grace that is asked for", async () => {
    const store = new Compacted();
    const told: CompactionReport[] = [];
    const compaction = begin(store, { everyMs: 3_600_000, graceMs: 7, onRun: (report) => told.push(report) });
    compaction.pause();

    expect(await compaction.now({ graceMs: 0 })).toBe(nothing);
    expect(await compaction.now()).toBe(nothing);

    expect(store.asked.map(({ graceMs }) => graceMs)).toEqual([0, 7]);
    expect(told).toHaveLength(2);
  });

  test("that is to run never by itself runs when it is asked to alone", async () => {
    const store = new Compacted();
    const compaction = begin(store, { everyMs: 0 });

    await aWhile();
    expect(store.asked).toEqual([]);
    await compaction.now();

    expect(store.asked).toHaveLength(1);
  });

  test("tries again what failed, and tells of it; who asked for a run gets its error", async () => {
    const full = new PayloadStoreError("UNAVAILABLE", "the disk is full");
    const store = new Compacted(async (_options, number) => {
      if (number < 3) throw full;
      return nothing;
    });
    const failures: unknown[] = [];
    const done: unknown[] = [];
    const compaction = begin(store, {
      onRun: (report) => done.push(report),
      onFailure: (error) => failures.push(error),
    });

    await store.begun(4);

    expect(failures).toEqual([full, full]);
    expect(done.length).toBeGreaterThanOrEqual(1);
    await compaction.stop();
    const failing = new Compacted(() => Promise.reject(full));
    await expect(begin(failing, { everyMs: 0 }).now()).rejects.toBe(full);
  });

  test("ends the run that is under way when it is stopped, which is no failure, and begins no other", async () => {
    const store = new Compacted(untilAborted);
    const failures: unknown[] = [];
    const compaction = begin(store, { onFailure: (error) => failures.push(error) });
    await store.begun(1);
    const asked = compaction.now();
    expect(compaction.state.running).toBe(true);

    const [stopped, refused] = await Promise.allSettled([compaction.stop(), asked]);

    expect(stopped.status).toBe("fulfilled");
    expect(refused).toMatchObject({ status: "rejected", reason: { code: "ABORTED" } });
    await aWhile();
    expect([store.asked.length, failures]).toEqual([2, []]);
    expect(compaction.state.running).toBe(false);
  });

  test("waits for what a run was in the middle of when it is stopped", async () => {
    const ending = Promise.withResolvers<CompactionReport>();
    const store = new Compacted(() => ending.promise);
    const compaction = begin(store);
    await store.begun(1);
    let isStopped = false;

    const stopping = compaction.stop().then(() => (isStopped = true));
    for (let i = 0; i < 10; i++) await turn();
    expect(isStopped).toBe(false);
    ending.resolve(nothing);
    await stopping;

    expect(isStopped).toBe(true);
  });

  test("ends when it is stopped while it is paused", async () => {
    const store = new Compacted();
    const compaction = begin(store);
    compaction.pause();
    await aWhile();

    await compaction.stop();

    expect(store.asked).toEqual([]);
  });
});

describe("a local server", () => {
  const tenant = "acme";
  let directory: string;
  let server: LocalServer;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), "paylode-compaction-"));
  });
  afterEach(async () => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const ask = async (method: string, query = "", body?: unknown) => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`${server.url}/compaction${query}`, init);
    return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
  };
  /** Payloads all of which an erasure has hidden. */
  const fill = async () => {
    for (let i = 0; i < 20; i++) await server.store.append({ tenant, group: "g", id: `${i}` }, noise(1000, i));
    return server.store.erase({ tenant, everything: true });
  };

  test("compacts by itself, and counts it", async () => {
    server = await serveLocal({ directory, port: 0, compactEverySeconds: 0.005 });
    // A run that comes while an erasure hides takes it up, and who asked for it would have to ask again.
    server.compaction.pause();
    await aWhile();
    const { id } = await fill();
    server.compaction.resume();

    while ((await server.store.erasure({ tenant, erasure: id }))?.state !== "waiting") await sleep(5);

    const counted = await (await fetch(`${server.url}/metrics`)).text();
    expect(counted).toMatch(/^paylode_compacted_segments_total [1-9]/m);
  });

  test("that is not to compact by itself does so when it is asked to, and what was erased is gone", async () => {
    server = await serveLocal({ directory, port: 0, compactEverySeconds: 0 });
    const { id } = await fill();
    expect(await ask("GET")).toEqual({ status: 200, answer: { paused: false, running: false, everySeconds: 0 } });
    await aWhile();
    expect((await server.store.erasure({ tenant, erasure: id }))?.state).toBe("hidden");

    const kept = await ask("POST");
    expect(kept).toMatchObject({ status: 200, answer: { complete: true, freed: [], waiting: 1 } });
    expect((await server.store.erasure({ tenant, erasure: id }))?.state).toBe("waiting");
    const freed = await ask("POST", "?grace=0");

    expect(freed).toMatchObject({ status: 200, answer: { complete: true, waiting: 0 } });
    expect(freed.answer["freed"]).toHaveLength(1);
    expect((await server.store.erasure({ tenant, erasure: id }))?.state).toBe("gone");
  });

  test("pauses compaction and resumes it when it is asked to", async () => {
    server = await serveLocal({ directory, port: 0, compactEverySeconds: 0.005 });

    expect(await ask("PUT", "", { paused: true })).toMatchObject({ status: 200, answer: { paused: true } });
    await aWhile();
    const { id } = await fill();
    await aWhile();
    expect((await server.store.erasure({ tenant, erasure: id }))?.state).toBe("hidden");
    expect(await ask("PUT", "", { paused: false })).toMatchObject({ status: 200, answer: { paused: false } });

    while ((await server.store.erasure({ tenant, erasure: id }))?.state !== "waiting") await sleep(5);
  });

  test("refuses what it does not understand, and lets a run end well when it is closed", async () => {
    server = await serveLocal({ directory, port: 0, compactEverySeconds: 0.001 });

    expect(await ask("POST", "?grace=soon")).toMatchObject({
      status: 400,
      answer: { code: "INVALID", field: "grace" },
    });
    expect(await ask("PUT", "", { paused: "yes" })).toMatchObject({ status: 400, answer: { field: "paused" } });
    for (let i = 0; i < 20; i++) await server.store.append({ tenant, group: "g", id: `${i % 2}` }, noise(1000, i));
    await server.close();

    expect(server.compaction.state.running).toBe(false);
  });
});

test("an app that does not compact answers 404", async () => {
  const app = createApp(openMemory());

  for (const [method, body] of [["GET"], ["POST"], ["PUT", `{"paused":true}`]] as const) {
    const response = await app.request("/compaction", { method, body: body ?? null });
    expect([response.status, await response.json()]).toMatchObject([404, { code: "NOT_FOUND" }]);
  }
});
