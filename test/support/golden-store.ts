import { openDisk, type DiskStore, type Machine } from "../../core/entries/disk.ts";
import { noise, prose, text } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "./machine.ts";
import { PowerLossFileSystem } from "./power-loss-file-system.ts";
import { alike, framesOf, smallBases } from "./resting-blocks.ts";
import { seededRandom } from "./seeded-random.ts";

/** Where the golden store lies in the simulated file system; its files are kept in `test/golden/format-0`. */
export const goldenDirectory = "/golden";

export interface GoldenPayload {
  readonly tenant: string;
  readonly group: string;
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly contentType?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
}

const long = new Uint8Array(5 * 1024 * 1024).fill(0x61);

const plain: readonly GoldenPayload[] = [
  { tenant: "acme", group: "run", id: "none", bytes: prose(500, 1), contentType: "text/plain" },
  { tenant: "acme", group: "run", id: "lz4", bytes: prose(3000, 2), attributes: { model: "m", naïve: "ünï" } },
  { tenant: "acme", group: "run", id: "zstd", bytes: prose(120_000, 3) },
  { tenant: "acme", group: "run", id: "noise", bytes: noise(1500, 4) },
  { tenant: "acme", group: "run", id: "empty", bytes: text("") },
  { tenant: "acme", group: "run", id: "overwritten", bytes: text("the second one") },
  { tenant: "acme", group: "run", id: "asked twice", bytes: text("once") },
  ...Array.from({ length: 30 }, (_, i) => ({
    tenant: "acme",
    group: "batch é/🛫",
    id: `${i}`,
    bytes: prose(i * 40, 10 + i),
    ...(i % 10 === 0 ? { contentType: "application/json" } : {}),
  })),
  { tenant: "acme", group: "long", id: "five MiB", bytes: long, contentType: "text/plain" },
  { tenant: "acme", group: "cleared", id: "after", bytes: text("after") },
  { tenant: "acme", group: "f".repeat(32), id: "f".repeat(32), bytes: text("2^128 − 1") },
  { tenant: "other", group: "run", id: "none", bytes: text("another tenant's") },
  { tenant: "alike", group: "first", id: "a", bytes: alike(1) },
  { tenant: "alike", group: "second", id: "a", bytes: alike(2), contentType: "text/plain" },
];

const merged = { tenant: "merged", group: "run" } as const;

/** What a merged page brings again; the one in the middle it gave its place in the order alone. */
const mergedPayloads: readonly GoldenPayload[] = [
  { ...merged, id: "asked twice", bytes: prose(700, 61), attributes: { subject: "u-2" }, contentType: "text/plain" },
  { ...merged, id: "overwritten", bytes: prose(900, 68) },
  { ...merged, id: "until 2100", bytes: prose(300, 62), expiresAt: 4_102_444_800_000 },
];

/** The idempotent request that the merged page answers. */
export const goldenRequest = { ...merged, id: "asked twice", idempotencyKey: "request 2" } as const;

/** Stored in the first days of the golden store, and expired since. A merged page brings it. */
export const goldenExpired = { ...merged, id: "expired", expiresAt: 1_750_250_000_000 } as const;

/** Erased, the first of them for good. */
export const goldenErased = [
  { ...merged, group: "erased", id: "gone" },
  { ...merged, id: "hidden" },
] as const;

/** Lost by a flipped bit, and accepted as lost by a repair. */
export const goldenLost = { tenant: "lost", group: "run", id: "lost" } as const;

/** What the golden store holds, group by group in the order of its lists. */
export const goldenPayloads: readonly GoldenPayload[] = [
  ...plain,
  ...mergedPayloads,
  { ...goldenLost, id: "stays", bytes: text("stays") },
];

/** Ids that were stored once and deleted. */
export const goldenDeleted = [
  { tenant: "acme", group: "run", id: "deleted" },
  { tenant: "acme", group: "cleared", id: "before" },
  { tenant: "other", group: "gone", id: "gone" },
  { tenant: "alike", group: "first", id: "filler" },
] as const;

/** Writes the golden store with today's code: always the same bytes. @returns its files by their path in it. */
export async function writeGoldenStore(): Promise<Map<string, Uint8Array>> {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  const machine = simulatedMachine(fs, 1);
  const store = await openDisk({ directory: goldenDirectory, segmentBytesMax: 16_384 }, machine);
  await fill(store);
  await store.close();
  await loseOne(fs, machine);
  return filesBut(fs, "/LOCK");
}

/**
 * Writes an index on disk for the golden store, twice, so that it has runs and an overlay.
 * @param golden  the store's files
 * @returns the files of the index, by their path in the store
 */
export async function writeGoldenIndex(golden: ReadonlyMap<string, Uint8Array>): Promise<Map<string, Uint8Array>> {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  for (const [file, bytes] of golden) if (!file.startsWith("index/")) fs.writeFile(`${goldenDirectory}/${file}`, bytes);
  const indexBounds = { lanes: 2, laneChangesMax: 24, level0KeysMax: 24, plainKeysMax: 0 };
  const store = await openDisk(
    { directory: goldenDirectory, segmentBytesMax: 16_384, index: "disk-hash" },
    { ...simulatedMachine(fs, 1), indexBounds },
  );
  await store.close();
  const files = filesBut(fs, "/LOCK");
  return new Map([...files].filter(([file]) => file.startsWith("index/")));
}

function filesBut(fs: PowerLossFileSystem, left: string): Map<string, Uint8Array> {
  const kept = fs.files().filter((file) => !file.includes(left));
  return new Map(kept.map((file) => [file.slice(goldenDirectory.length + 1), fs.readFile(file)]));
}

async function fill(store: DiskStore): Promise<void> {
  const put = ({ bytes, contentType, attributes, expiresAt, ...key }: GoldenPayload) =>
    store.append(key, bytes, { contentType, attributes, expiresAt });
  const key = { tenant: "acme", group: "run" };
  const alone = plain.filter(({ id, group }) => group === "run" && id !== "asked twice");

  await store.append({ tenant: "other", group: "gone", id: "gone" }, prose(200, 9));
  await store.append({ ...key, group: "cleared", id: "before" }, prose(2000, 8));
  for (const payload of alone) await put(payload.id === "overwritten" ? { ...payload, bytes: noise(900, 7) } : payload);
  await store.append({ ...key, id: "deleted" }, prose(2000, 5));
  await store.append({ ...key, id: "overwritten" }, text("the second one"));
  for (let i = 0; i < 2; i++)
    await store.append({ ...key, id: "asked twice" }, text("once"), { idempotencyKey: "request 1" });
  const { group } = plain.find(({ id }) => id === "29") ?? { group: "" };
  await store.appendMany(
    { tenant: "acme", group },
    plain.filter((payload) => payload.group === group),
  );
  await store.deleteGroup({ ...key, group: "cleared" });
  await store.deleteGroup({ tenant: "other", group: "gone" });
  for (const payload of plain.slice(-6, -4)) await put(payload);
  await store.append({ tenant: "acme", id: 2n ** 128n - 1n }, text("2^128 − 1"));
  await store.delete({ ...key, id: "deleted" });
  // Each in a segment of its own; compaction lays the second one on what it wrote of the first.
  for (const payload of plain.slice(-2)) {
    const filler = { tenant: "alike", group: payload.group, id: "filler" };
    await put(payload);
    await store.append(filler, noise(16_384, 6));
    await store.delete(filler);
  }
  await store.compact({ tenant: "alike", graceMs: 0, rules: { ...smallBases, deadShareMin: 0.1 } });
  await merge(store);
  for (const id of ["stays", "lost"]) await store.append({ ...goldenLost, id }, text(id));
}

/** An erasure to its end; then pages that are merged, with a request, what expires, and a payload that was overwritten since. */
async function merge(store: DiskStore): Promise<void> {
  const [asked, overwritten, lasting] = mergedPayloads;
  const { tenant, group } = merged;
  const [gone, hidden] = goldenErased;
  await store.append(gone, prose(400, 65));
  await store.erase({ tenant, group: gone.group, ids: [gone.id, "never there"] });
  await store.compact({ tenant, graceMs: 0 });

  const { idempotencyKey } = goldenRequest;
  const { contentType, attributes } = asked!;
  await store.append({ tenant, group, id: asked!.id }, asked!.bytes, { contentType, attributes, idempotencyKey });
  const { expiresAt } = lasting!;
  await store.append({ tenant, group, id: overwritten!.id }, prose(500, 63));
  await store.append({ tenant, group, id: lasting!.id }, lasting!.bytes, { expiresAt });
  await store.append({ tenant, group, id: goldenExpired.id }, prose(200, 64), { expiresAt: goldenExpired.expiresAt });
  await store.append(hidden, prose(400, 66));
  const filler = { tenant, group: "filler", id: "filler" };
  await store.append(filler, noise(16_384, 67));
  // In the next segment, of which too little is dead to be compacted.
  await store.append({ tenant, group, id: overwritten!.id }, overwritten!.bytes);
  await store.delete(filler);
  await store.compact({ tenant, graceMs: 0, rules: { deadShareMin: 0.5 } });
  await store.erase({ tenant, group, ids: [hidden.id] });
}

/** Flips a bit in the page of what is lost, and repairs the store. */
async function loseOne(fs: PowerLossFileSystem, machine: Machine): Promise<void> {
  const lost = (await framesOf(fs, goldenDirectory)).filter(({ tenant }) => tenant === goldenLost.tenant).at(-1)!;
  const bytes = fs.readFile(lost.path).slice();
  bytes[lost.offset + lost.headBytes - 1]! ^= 1;
  fs.writeFile(lost.path, bytes);
  const store = await openDisk({ directory: goldenDirectory, segmentBytesMax: 16_384 }, machine);
  await store.repair({ acceptLoss: true });
  await store.close();
}
