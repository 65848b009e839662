import { openDisk, type DiskOptions, type DiskStore, type Durability } from "../../core/entries/disk.ts";
import type { IndexBounds } from "../../core/lsm/index-bounds.ts";
import { PayloadStoreError } from "../../core/errors.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "./machine.ts";
import { seededRandom } from "./seeded-random.ts";

export const storeFolder = "/store/of/agents";

/** What one writer's group holds, by id. */
type Contents = ReadonlyMap<string, Uint8Array>;

/** What may be found after a crash: what was acknowledged, or also the one write that was under way. */
export interface Expected {
  readonly tenant: string;
  readonly group: string;
  readonly acknowledged: Contents;
  readonly underWay: Contents | undefined;
  /** What was acknowledged before that, since the last flush: may be found where acknowledgements do not wait for syncs. */
  readonly earlier?: readonly Contents[];
}

interface Writer {
  readonly tenant: string;
  readonly group: string;
  /** When its payloads expire, long after the test, so that compaction lays groups apart. */
  readonly expiresAt: number | undefined;
  contents: Contents;
  underWay: Contents | undefined;
  earlier: Contents[];
}

export interface WorkloadOptions {
  readonly durability?: Durability;
  /** An on-disk index with these bounds; the default index unless given. */
  readonly indexBounds?: Partial<IndexBounds> | undefined;
  readonly seed: number;
  readonly writers: number;
  readonly stepsPerWriter: number;
  /** Small enough that segments are sealed on the way. */
  readonly segmentBytesMax: number;
  /** Whether the store is compacted now and then, without a grace. */
  readonly compacts?: boolean | undefined;
}

/**
 * Writers that work at the same time, each in a group of its own, one call after the other: appends, batches, overwrites,
 * deletes, group deletes, flushes. At any moment it is known what each group may hold.
 */
export class CrashWorkload {
  readonly #options: WorkloadOptions;
  readonly #writers: Writer[];
  readonly #random: () => number;
  #store: DiskStore | undefined;
  /** Set while nothing was written since the last flush that resolved. */
  flushed = false;
  #compacting = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#writers = Array.from({ length: options.writers }, (_, i) => ({
      tenant: i % 2 === 0 ? "even" : "odd",
      group: `group-${i}`,
      expiresAt: options.compacts ? expiries[i % 3] : undefined,
      contents: new Map(),
      underWay: undefined,
      earlier: [],
    }));
  }

  expected(): Expected[] {
    const waits = (this.#options.durability ?? "safe") === "safe";
    return this.#writers.map(({ tenant, group, contents, underWay, earlier }) => ({
      tenant,
      group,
      acknowledged: contents,
      underWay,
      earlier: waits ? [] : [...earlier],
    }));
  }

  /** Opens the store and lets the writers work until they are done or meet an error. @returns the errors that they met. */
  async run(fs: FileSystem): Promise<unknown[]> {
    const { seed, segmentBytesMax, stepsPerWriter, durability, indexBounds } = this.#options;
    try {
      this.#store = await openWith(fs, { segmentBytesMax, durability }, seed, indexBounds);
    } catch (error) {
      return [error];
    }
    const store = this.#store;
    const results = await Promise.allSettled(
      this.#writers.map(async (writer) => {
        for (let step = 0; step < stepsPerWriter; step++) await this.#step(store, writer);
      }),
    );
    return results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }

  async #step(store: DiskStore, writer: Writer): Promise<void> {
    const { tenant, group, expiresAt } = writer;
    const kind = this.#random();
    const next = new Map(writer.contents);
    const id = `id-${Math.floor(this.#random() * 6)}`;
    const change = async (act: () => Promise<unknown>) => {
      writer.underWay = next;
      this.flushed = false;
      await act();
      writer.earlier.push(writer.contents);
      writer.contents = next;
      writer.underWay = undefined;
    };
    if (kind < 0.45) {
      const bytes = this.#bytes();
      next.set(id, bytes);
      await change(() => store.append({ tenant, group, id }, bytes, { expiresAt }));
    } else if (kind < 0.65) {
      const items = [0, 1, 2, 3].map((i) => ({ id: `id-${i}`, bytes: this.#bytes(), expiresAt }));
      for (const item of items) next.set(item.id, item.bytes);
      await change(() => store.appendMany({ tenant, group }, items));
    } else if (kind < 0.8) {
      next.delete(id);
      await change(() => store.delete({ tenant, group, id }));
    } else if (kind < 0.88) {
      next.clear();
      await change(() => store.deleteGroup({ tenant, group }));
    } else if (this.#options.compacts && kind < 0.97) {
      this.flushed = false;
      // It commits too, so that what another one flushes meanwhile is not all there is.
      this.#compacting += 1;
      // Rests take time, and no step of the disk.
      const bounds = { smallCountMin: 2, baseBytes: 100, baseEveryBytes: 2000, apartBytes: 400, restMs: 0 };
      const rules = { deadShareMin: this.#random() / 2, ...bounds };
      await store.compact({ graceMs: 0, rules });
      this.#compacting -= 1;
      this.flushed = false;
    } else {
      const before = this.#writers.map((other) => other.contents);
      const older = new Set(this.#writers.flatMap((other) => other.earlier));
      await store.flush();
      for (const other of this.#writers) other.earlier = other.earlier.filter((contents) => !older.has(contents));
      const isQuiet = this.#compacting === 0;
      this.flushed = isQuiet && this.#writers.every((other, i) => other.contents === before[i] && !other.underWay);
    }
  }

  #bytes(): Uint8Array {
    const length = Math.floor(this.#random() ** 3 * 1500);
    // What a base has that another group had written: a stretch of what they all write.
    if (this.#options.compacts && this.#random() < 0.6) return common.slice(0, 300 + length / 3);
    const repeated = this.#random() < 0.5;
    const first = Math.floor(this.#random() * 256);
    return Uint8Array.from({ length }, (_, i) => (repeated ? first : (first + i * 7 + (i >> 3)) & 255));
  }
}

/** Of the groups in turn, in milliseconds since 1970: after the days of all seeds, some 15 million, and so far apart that they are laid apart. */
const expiries = [undefined, 2e15, 8e15] as const;

/** What no codec makes much smaller alone, and every one that knows it already. */
const common = Uint8Array.from(noise(800, 1), (byte) => byte & 63);

/** Opens the store, with an on-disk index where bounds for one are given. */
export function openWith(
  fs: FileSystem,
  options: Partial<DiskOptions>,
  seed: number,
  indexBounds: Partial<IndexBounds> | undefined,
): Promise<DiskStore> {
  const index = indexBounds ? "disk-hash" : undefined;
  const machine = simulatedMachine(fs, seed);
  return openDisk(
    { directory: storeFolder, index, cacheBytes: 65_536, ...options },
    indexBounds ? { ...machine, indexBounds } : machine,
  );
}

/** What {@link findViolations} leaves behind, to be expected after a further crash. */
export function appendedAfter(seed: number): Expected[] {
  const acknowledged = new Map([[`id-${seed % 6}`, Uint8Array.of(seed)]]);
  return ["even", "odd"].map((tenant) => ({ tenant, group: "after", acknowledged, underWay: undefined }));
}

/** Opens what a crash left, compares, and appends a little. @returns everything that is wrong, in words; nothing when all is well. */
export async function findViolations(
  fs: FileSystem,
  expected: readonly Expected[],
  seed: number,
  indexBounds?: Partial<IndexBounds>,
): Promise<string[]> {
  const violations: string[] = [];
  let store: DiskStore;
  try {
    store = await openWith(fs, { segmentBytesMax: 4096 }, seed + 1, indexBounds);
  } catch (error) {
    return [`open: ${String(error)}`];
  }
  for (const { reason } of store.recovery.damage) violations.push(`damage: ${reason}`);
  for (const { tenant, group, acknowledged, underWay, earlier = [] } of expected) {
    try {
      const found = await contentsOf(store, tenant, group);
      const allowed = [acknowledged, ...(underWay ? [underWay] : []), ...earlier];
      const matches = allowed.some((contents) => sameContents(found, contents));
      if (!matches)
        violations.push(
          `${tenant}/${group}: holds ${[...found.keys()].join()}, expected ${[...acknowledged.keys()].join()}`,
        );
    } catch (error) {
      violations.push(`${tenant}/${group}: ${String(error)}`);
    }
  }
  try {
    const { faults } = await store.verify();
    for (const { kind, segment, start, reason } of faults)
      violations.push(`${kind}: ${segment} at ${start}: ${reason}`);
    for (const tenant of ["even", "odd"])
      await store.append({ tenant, group: "after", id: `id-${seed % 6}` }, Uint8Array.of(seed));
    await store.close();
  } catch (error) {
    violations.push(`append and close: ${String(error)}`);
  }
  return violations;
}

/** A group by every way to read it, which must agree. */
export async function contentsOf(store: DiskStore, tenant: string, group: string): Promise<Contents> {
  const listed = new Map<string, Uint8Array>();
  for await (const { id, body } of store.contents({ tenant, group })) listed.set(id, body);
  for (let i = 0; i < 6; i++) {
    const id = `id-${i}`;
    const got = await store.get({ tenant, group, id });
    const alike = got === undefined ? !listed.has(id) : sameBytes(got, listed.get(id));
    if (!alike) throw new PayloadStoreError("INVALID", `get and list differ on ${id}`);
  }
  return listed;
}

function sameContents(a: Contents, b: Contents): boolean {
  return a.size === b.size && [...a].every(([id, bytes]) => sameBytes(bytes, b.get(id)));
}

function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
