import { describe, expect, test } from "vitest";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import { collect } from "../conformance/expectations.ts";
import { prose, text } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "../support/machine.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

const tenant = "acme";
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** A store on a disk of memory, whose clock stands until it is moved. */
async function opened(options: Partial<DiskOptions> = {}) {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  const clock = new ManualClock();
  const machine = { ...simulatedMachine(fs, 1), clock, indexBounds: smallIndex };
  const open = (): Promise<DiskStore> => openDisk({ directory: "/store", ...options }, machine);
  const store = await open();
  const reopen = async (before: DiskStore, again: Partial<DiskOptions> = {}) => {
    await before.close();
    return openDisk({ directory: "/store", ...options, ...again }, machine);
  };
  return { store, clock, fs, reopen };
}

describe("expiry by the store's clock", () => {
  test("comes at its millisecond, and without a write", async () => {
    const { store, clock } = await opened();
    const key = { tenant, group: "g", id: "a" };
    await store.append(key, text("x"), { expiresAt: clock.ms + minuteMs });

    clock.ms += minuteMs - 1;
    expect(await store.has(key)).toBe(true);
    expect(await collect(store.groups({ tenant }))).toEqual([{ group: "g", payloads: 1 }]);
    clock.ms += 1;

    expect(await store.has(key)).toBe(false);
    expect(await collect(store.groups({ tenant }))).toEqual([]);
    expect(await store.size({ tenant })).toBe(1);
    await store.close();
  });

  test("lets one of many creators store again", async () => {
    const { store, clock } = await opened();
    const key = { tenant, group: "g", id: "a" };
    await store.append(key, text("x"), { expiresAt: clock.ms + minuteMs });
    clock.ms += minuteMs;

    const tries = Array.from({ length: 20 }, (_, i) => store.append(key, text(`${i}`), { ifAbsent: true }));
    const settled = await Promise.allSettled(tries);

    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await store.close();
  });

  for (const index of ["memory", "disk-hash"] as const) {
    test(`takes exactly what has expired away with the next compaction, and reports it (index: ${index})`, async () => {
      const { store, clock, reopen } = await opened({ index, segmentBytesMax: 65_536 });
      const start = clock.ms;
      const kept = new Map<string, Uint8Array>();
      let expiredPayloads = 0;
      let expiredBytes = 0;
      for (let i = 0; i < 60; i++) {
        const group = `g${i % 20}`;
        const items = Array.from({ length: 10 }, (_, j) => {
          const lasts = (i + j) % 3;
          const expiresAt = lasts === 0 ? undefined : start + (lasts === 1 ? 2 : 40) * dayMs;
          return { id: `${i}-${j}`, bytes: prose(900, i * 10 + j), expiresAt };
        });
        await store.appendMany({ tenant, group }, items);
        for (const { id, bytes, expiresAt } of items) {
          if (expiresAt === start + 2 * dayMs) {
            expiredPayloads += 1;
            expiredBytes += bytes.length;
          } else kept.set(`${group} ${id}`, bytes);
        }
      }
      clock.ms = start + 3 * dayMs;

      const report = await store.compact({ graceMs: 0 });
      clock.ms += 1;
      await store.compact({ graceMs: 0 });

      const sum = { payloads: expiredPayloads, bytes: expiredBytes };
      expect(report.expired).toEqual({ ...sum, byRetention: { _own: sum } });
      expect(await store.size({ tenant })).toBe(kept.size);
      const rebuilt = await reopen(await reopen(store), { rebuild: true });
      const found = new Map<string, Uint8Array>();
      for await (const { group } of rebuilt.groups({ tenant })) {
        for await (const { id, body } of rebuilt.contents({ tenant, group })) found.set(`${group} ${id}`, body);
      }
      expect(found.size).toBe(kept.size);
      for (const [name, bytes] of kept) expect(found.get(name)).toEqual(bytes);
      expect((await rebuilt.verify()).faults).toEqual([]);
      await rebuilt.close();
    });

    test(`drops segments of which all has expired, and writes no payload again (index: ${index})`, async () => {
      const { store, clock, reopen } = await opened({ index, segmentBytesMax: 65_536 });
      for (let i = 0; i < 40; i++) {
        const items = Array.from({ length: 10 }, (_, j) => ({
          id: `${j}`,
          bytes: prose(900, i * 10 + j),
          expiresAt: clock.ms + 30 * dayMs,
        }));
        await store.appendMany({ tenant, group: `g${i}` }, items);
        clock.ms += minuteMs;
      }
      const reopened = await reopen(store);
      clock.ms += 31 * dayMs;

      const report = await reopened.compact({ graceMs: 0 });
      clock.ms += 1;
      await reopened.compact({ graceMs: 0 });

      const sum = { payloads: 400, bytes: 360_000 };
      expect(report.expired).toEqual({ ...sum, byRetention: { _own: sum } });
      expect(report.bytesOut).toBe(0);
      expect(report.plan.rewrittenBytes).toBe(0);
      expect(report.segments.length).toBeGreaterThan(1);
      expect(await reopened.size({ tenant })).toBe(0);
      expect(await collect(reopened.groups({ tenant }))).toEqual([]);
      await reopened.close();
    });
  }

  test("does not bring back what a payload that expired had overwritten", async () => {
    const { store, clock, reopen } = await opened({ segmentBytesMax: 8192 });
    const key = { tenant, group: "g", id: "a" };
    await store.append(key, prose(9000, 1));
    await store.append(key, prose(9000, 2), { expiresAt: clock.ms + minuteMs });
    await store.append({ ...key, id: "b" }, prose(9000, 3));
    clock.ms += dayMs;

    for (let i = 0; i < 3; i++) {
      await store.compact({ graceMs: 0 });
      clock.ms += 1;
      expect(await store.has(key)).toBe(false);
    }

    const rebuilt = await reopen(store, { rebuild: true });
    expect(await rebuilt.has(key)).toBe(false);
    expect(await rebuilt.size({ tenant })).toBe(1);
    await rebuilt.close();
  });

  test("comes after the retention of the tenant, where a payload has none of its own", async () => {
    const retentionMs = (name: string) => (name === tenant ? dayMs : 0);
    const { store, clock, reopen } = await opened({ retentionMs });
    const key = { tenant, group: "g", id: "a" };
    const start = clock.ms;
    const first = await store.append(key, text("x"), { idempotencyKey: "k" });
    await store.append({ ...key, id: "own" }, text("x"), { expiresAt: start + 9 * dayMs });
    await store.append({ ...key, tenant: "other" }, text("x"));
    clock.ms += hourMs;
    expect(await store.append(key, text("x"), { idempotencyKey: "k" })).toEqual(first);
    await store.append({ ...key, id: "b" }, text("x"));

    expect((await collect(store.list({ tenant, group: "g" }))).map(({ expiresMs }) => expiresMs)).toEqual([
      start + dayMs,
      start + 9 * dayMs,
      start + hourMs + dayMs,
    ]);
    expect((await store.head({ ...key, tenant: "other" }))?.expiresMs).toBeUndefined();

    // What is stored is not changed by another retention, nor by a merge.
    const reopened = await reopen(store, { retentionMs: 5 * dayMs });
    await reopened.compact({ graceMs: 0, rules: { smallCountMin: 1 } });
    expect((await reopened.head(key))?.expiresMs).toBe(start + dayMs);
    expect((await reopened.head({ ...key, tenant: "other" }))?.expiresMs).toBeUndefined();
    clock.ms = start + dayMs;
    expect((await collect(reopened.list({ tenant, group: "g" }))).map(({ id }) => id)).toEqual(["own", "b"]);
    await reopened.close();
  });

  test("is refused as a retention that is no time", async () => {
    for (const retentionMs of [-1, 1.5, Number.NaN, 1e15]) {
      await expect(opened({ retentionMs })).rejects.toMatchObject({ code: "INVALID" });
    }
  });
});

describe("a retention class", () => {
  const classes = { defaultMs: 30 * dayMs, classesMs: { debug: 7 * dayMs, audit: 0 } };

  test("says how long a payload is kept, whatever the others are", async () => {
    const { store, clock } = await opened({ retentionMs: classes });
    const start = clock.ms;
    const group = { tenant, group: "g" };
    await store.append({ ...group, id: "default" }, text("x"));
    await store.append({ ...group, id: "debug" }, text("x"), { retention: "debug" });
    await store.appendMany(group, [
      { id: "audit", bytes: text("x"), retention: "audit" },
      { id: "own", bytes: text("x"), expiresAt: start + dayMs },
      { id: "also debug", bytes: text("x"), retention: "debug" },
    ]);

    const listed = await collect(store.list(group));

    expect(Object.fromEntries(listed.map(({ id, expiresMs }) => [id, expiresMs]))).toEqual({
      default: start + 30 * dayMs,
      debug: start + 7 * dayMs,
      audit: undefined,
      own: start + dayMs,
      "also debug": start + 7 * dayMs,
    });
    clock.ms = start + 400 * dayMs;
    expect((await collect(store.list(group))).map(({ id }) => id)).toEqual(["audit"]);
    await store.close();
  });

  test("is refused where it is unknown or stands beside an expiry, and nothing is stored", async () => {
    const retentionMs = (name: string) => (name === tenant ? classes : 0);
    const { store } = await opened({ retentionMs });
    const key = { tenant, group: "g", id: "a" };
    const refused = { code: "INVALID", details: { field: "retention" } };

    const unknown = store.append(key, text("x"), { retention: "forever" });
    await expect(unknown).rejects.toMatchObject({ ...refused, message: expect.stringContaining("debug, audit") });
    for (const name of ["constructor", "", "Debug"])
      await expect(store.append(key, text("x"), { retention: name })).rejects.toMatchObject(refused);
    const elsewhere = store.append({ ...key, tenant: "other" }, text("x"), { retention: "debug" });
    await expect(elsewhere).rejects.toMatchObject({ message: expect.stringContaining("there are none") });
    const both = store.append(key, text("x"), { retention: "debug", expiresAt: 1e15 });
    await expect(both).rejects.toMatchObject(refused);

    expect(await store.size({ tenant })).toBe(0);
    await store.close();
  });

  test("is part of what an idempotent request asks, and not of when it asks", async () => {
    const { store, clock } = await opened({ retentionMs: classes });
    const key = { tenant, group: "g", id: "a" };
    const send = (retention?: string) => store.append(key, text("x"), { retention, idempotencyKey: "k" });
    const first = await send("debug");
    clock.ms += hourMs;

    expect(await send("debug")).toEqual(first);
    await expect(send("audit")).rejects.toMatchObject({ code: "KEY_REUSED" });
    await expect(send()).rejects.toMatchObject({ code: "KEY_REUSED" });
    await store.close();
  });

  test("is refused in an option that is no time or has no name", async () => {
    for (const classesMs of [{ debug: -1 }, { debug: 1.5 }, { "a b": 1 }, { "": 1 }]) {
      await expect(opened({ retentionMs: { classesMs } })).rejects.toMatchObject({ code: "INVALID" });
    }
  });
});
