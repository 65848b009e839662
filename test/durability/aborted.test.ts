import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { type DiskStore, openDisk } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { noise } from "../conformance/sample-bytes.ts";

const tenant = "t";
const group = { tenant, group: "g" };
const key = { ...group, id: "7" };

/** Calls that are cancelled when `abort` is called, and lists that are left in the middle. */
const calls: Readonly<Record<string, (store: DiskStore, signal: AbortSignal, abort: () => void) => Promise<unknown>>> =
  {
    append: (store, signal) => store.append({ ...group, id: "new" }, noise(100_000, 1), { signal }),
    appendMany: (store, signal) => store.appendMany(group, [{ id: "x", bytes: noise(9000, 2) }], { signal }),
    get: (store, signal) => store.get(key, { signal }),
    read: (store, signal) => store.read(key, { signal }),
    getMany: (store, signal) => store.getMany(group, ["1", "2", "3"], { signal }),
    delete: (store, signal) => store.delete({ ...group, id: "never" }, { signal }),
    find: (store, signal, abort) => some(store.find({ tenant, where: { user: "u" } }, { signal }), abort),
    list: (store, signal, abort) => some(store.list(group, { signal }), abort),
    contents: (store, signal, abort) => some(store.contents(group, { signal }), abort),
    groups: (store, signal, abort) => some(store.groups({ tenant }, { signal }), abort),
    "a list that is left": async (store) => {
      for await (const _ of store.contents(group)) break;
    },
    verify: (store, signal) => store.verify({ signal }),
    compact: (store, signal) => store.compact({ graceMs: 0, mustGo: () => true, signal }),
  };

async function some(answers: AsyncIterable<unknown>, abort: () => void): Promise<void> {
  let count = 0;
  for await (const _ of answers) if (++count === 3) abort();
}

/** Suspected: a call that is cancelled halfway leaves a file open, or a timer. */
test.skipIf(!existsSync("/proc/self/fd"))(
  "calls that are cancelled leave no file open and no timer running",
  async () => {
    const directory = mkdtempSync(path.join(tmpdir(), "paylode-aborted-"));
    try {
      const closed = await handles(directory);
      const store = await openDisk({ directory, segmentBytesMax: 65_536 });
      for (let i = 0; i < 40; i++)
        await store.append({ ...group, id: `${i}` }, noise(9000, i), { attributes: { user: "u" } });
      for (const call of Object.values(calls)) await call(store, new AbortController().signal, () => {});
      const before = await handles(directory);
      const timersBefore = timers();

      let cancelled = 0;
      for (let round = 0; round < 10; round++) {
        for (const [name, call] of Object.entries(calls)) {
          const abort = new AbortController();
          const called = call(store, abort.signal, () => abort.abort()).catch((error: unknown) => {
            if (!isPayloadStoreError(error, "ABORTED")) throw new Error(name, { cause: error });
            cancelled += 1;
          });
          // In the same turn, in one of its microtasks, and after a while.
          if (round % 3 === 1) await Promise.resolve();
          if (round % 3 === 2) await nextTurn();
          abort.abort();
          await called;
        }
      }

      expect(cancelled).toBeGreaterThan(50);
      const after = await handles(directory);
      expect([after.resources, after.others]).toEqual([before.resources, before.others]);
      // Vitest has timers of its own, which come and go.
      for (const end = performance.now() + 5000; timers() > timersBefore && performance.now() < end;) await nextTurn();
      expect(timers()).toBeLessThanOrEqual(timersBefore);
      // A segment that was read or written stays open, once for all calls, until it is gone.
      expect(after.own.length).toBeGreaterThan(1);
      expect(new Set(after.own).size).toBe(after.own.length);
      for (const file of after.own) expect(existsSync(file), file).toBe(true);
      await store.close();
      expect(await handles(directory)).toEqual(closed);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

/** The store's files that are open, how many others are, and what keeps the process alive. */
async function handles(directory: string): Promise<{
  readonly own: readonly string[];
  readonly others: number;
  readonly resources: readonly string[];
}> {
  // What has just ended is let go a turn later.
  await wait(20);
  const files = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The folder itself, as it was listed.
      return [];
    }
  });
  const own = files.filter((file) => file.startsWith(directory));
  const resources = process.getActiveResourcesInfo().filter((kind) => kind !== "Timeout");
  return { own, others: files.length - own.length, resources: resources.toSorted((a, b) => (a < b ? -1 : 1)) };
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
}
