import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { DiskIndexKind } from "../../core/adapters/disk/disk-index.ts";
import { type DiskOptions, type DiskStore, openDisk } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import type { IndexBounds } from "../../core/lsm/index-bounds.ts";
import type { Attributes, ListedPayload } from "../../core/payload.ts";
import { collect } from "../conformance/expectations.ts";
import { text } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "./machine.ts";
import { PowerLossFileSystem } from "./power-loss-file-system.ts";
import { seededRandom } from "./seeded-random.ts";

const tenants = ["acme", "other"] as const;
const groups = ["g", "h", "é"] as const;
const ids = ["0", "1", "2", "3", "4"] as const;
const attributes = fc.record(
  { user: fc.constantFrom("u1", "u2", "u3"), model: fc.constantFrom("m1", "m2"), kind: fc.constantFrom("k1", "k2") },
  { requiredKeys: [] },
);
const wheres: readonly Attributes[] = [
  { user: "u1" },
  { model: "m2" },
  { user: "u2", model: "m1" },
  { kind: "k1", user: "u3", model: "m2" },
  { user: "nobody", model: "m1" },
];

type Step =
  | { readonly kind: "put"; readonly at: Place; readonly puts: Readonly<Record<string, Attributes>> }
  | { readonly kind: "delete"; readonly at: Place; readonly id: string }
  | { readonly kind: "deleteGroup"; readonly at: Place }
  | { readonly kind: "erase"; readonly tenant: string; readonly where: Attributes }
  | { readonly kind: (typeof plainSteps)[number] };

const plainSteps = [
  "flush",
  "reopen",
  "otherKind",
  "rebuild",
  "rebuildIndex",
  "kill",
  "powerLoss",
  "reader",
  "compact",
  "compact",
  "compactLater",
] as const;

interface Place {
  readonly tenant: string;
  readonly group: string;
}

const place: fc.Arbitrary<Place> = fc.record({
  tenant: fc.constantFrom(...tenants),
  group: fc.constantFrom(...groups),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      at: place,
      puts: fc.dictionary(fc.constantFrom(...ids), attributes, { minKeys: 1, maxKeys: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("delete" as const), at: place, id: fc.constantFrom(...ids) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("deleteGroup" as const), at: place }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("erase" as const),
      tenant: fc.constantFrom(...tenants),
      where: fc.constantFrom(...wheres),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom(...plainSteps) }),
  },
);

interface Running {
  fs: PowerLossFileSystem;
  store: DiskStore;
  index: DiskIndexKind;
}

/** Opens a store in a file system; each time by another clock and another chance, as another process has them. */
type Open = (fs: PowerLossFileSystem, options?: Partial<DiskOptions>) => Promise<DiskStore>;

/**
 * A find answers what maps do, over restarts, compaction, rebuilds, kills and power losses between any two steps, also page by page with
 * a step between the pages.
 *
 * Suspected: a payload that is found no more after a merge of the index or a restart, one that is found after it was replaced
 * or deleted, and one that is left out where a cursor meets an index that was made anew.
 */
export function findsAsMapsDo(bounds: Partial<IndexBounds>): fc.IRawProperty<unknown> {
  const steps = fc.array(step, { maxLength: 30, size: "max" });
  return fc.asyncProperty(fc.nat(), steps, fc.integer({ min: 1, max: 4 }), async (seed, work, limit) => {
    const fs = new PowerLossFileSystem({ random: seededRandom(seed) });
    const open = opener(bounds);
    const running: Running = { fs, store: await open(fs), index: "disk-hash" };
    const model = new Map<string, Attributes>();
    let reader = await open(fs, { readOnly: true });
    for (const each of work) {
      const page = await paged(running.store, wheres[0]!, limit);
      const before = new Map(model);
      await perform(running, model, each, open);
      await expectSame(running.store, model);
      if (each.kind === "kill" || each.kind === "powerLoss") reader = await open(running.fs, { readOnly: true });
      await expectSame(reader, model);
      await expectNothingMissed(running.store, page, before, model);
    }
    await running.store.close();
  });
}

async function perform(running: Running, model: Map<string, Attributes>, work: Step, open: Open) {
  const { store } = running;
  switch (work.kind) {
    case "put": {
      const items = Object.entries(work.puts).map(([id, has]) => ({ id, bytes: text(id), attributes: { ...has } }));
      await store.appendMany(work.at, items);
      for (const { id, attributes: has } of items) model.set(nameOf({ ...work.at, id }), has);
      return;
    }
    case "delete":
      await store.delete({ ...work.at, id: work.id });
      model.delete(nameOf({ ...work.at, id: work.id }));
      return;
    case "deleteGroup":
      await store.deleteGroup(work.at);
      for (const id of ids) model.delete(nameOf({ ...work.at, id }));
      return;
    case "flush":
      return store.flush();
    case "erase":
      await store.erase({ tenant: work.tenant, where: work.where });
      for (const name of matching(model, work.tenant, work.where)) model.delete(name);
      return;
    case "compact":
      await store.compact({ graceMs: 0, mustGo: () => true });
      return;
    case "compactLater":
      // What is superseded now goes with a later run.
      await store.compact({ graceMs: 1, mustGo: () => true });
      return;
    case "rebuildIndex":
      await store.rebuildIndex();
      return;
    case "reader": {
      const reader = await open(running.fs, { readOnly: true });
      await expectSame(reader, model);
      return reader.close();
    }
    case "kill":
    case "powerLoss":
      running.fs = running.fs[work.kind]();
      break;
    case "otherKind":
      await store.close();
      running.index = running.index === "memory" ? "disk-hash" : "memory";
      break;
    default:
      await store.close();
  }
  running.store = await open(running.fs, { rebuild: work.kind === "rebuild", index: running.index });
}

async function expectSame(store: DiskStore, model: ReadonlyMap<string, Attributes>): Promise<void> {
  for (const tenant of tenants) {
    for (const where of wheres) {
      const found = await asked(() => collect(store.find({ tenant, where })));
      assert.deepEqual(found.map((head) => nameOf({ tenant, ...head })).toSorted(), matching(model, tenant, where));
      for (const head of found) assert.deepEqual(model.get(nameOf({ tenant, ...head })), { ...head.attributes });
    }
  }
}

/** The first page of a find, and the cursor behind it. */
async function paged(store: DiskStore, where: Attributes, limit: number): Promise<readonly ListedPayload[]> {
  return asked(() => collect(store.find({ tenant: tenants[0], where }, { limit })));
}

/** What was there before a step and is after it is on the first page, from before, or behind its cursor. */
async function expectNothingMissed(
  store: DiskStore,
  page: readonly ListedPayload[],
  before: ReadonlyMap<string, Attributes>,
  after: ReadonlyMap<string, Attributes>,
): Promise<void> {
  const [tenant, where] = [tenants[0], wheres[0]!];
  const cursor = page.at(-1)?.cursor;
  const rest = await asked(() => collect(store.find({ tenant, where }, { after: cursor })));
  const seen = new Set([...page, ...rest].map((head) => nameOf({ tenant, ...head })));
  const stayed = matching(before, tenant, where).filter((name) => matching(after, tenant, where).includes(name));
  for (const name of stayed) assert.ok(seen.has(name), `${name} is on neither page`);
}

/** An index that is made anew while it is walked says so, and is asked again. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isPayloadStoreError(error, "UNAVAILABLE")) throw error;
    return ask();
  }
}

function matching(model: ReadonlyMap<string, Attributes>, tenant: string, where: Attributes): string[] {
  const terms = Object.entries(where);
  const names = [...model].filter(([name, has]) => {
    return name.startsWith(`${tenant}/`) && terms.every(([key, value]) => has[key] === value);
  });
  return names.map(([name]) => name).toSorted();
}

function nameOf({ tenant, group, id }: Place & { readonly id: string }): string {
  return `${tenant}/${group}/${id}`;
}

function opener(indexBounds: Partial<IndexBounds>): Open {
  let opened = 0;
  return (fs, options = {}) => {
    const machine = { ...simulatedMachine(fs, (opened += 1)), indexBounds };
    return openDisk({ directory: "/store", segmentBytesMax: 2048, cacheBytes: 65_536, ...options }, machine);
  };
}
