import { expect } from "vitest";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { DiskSegmentStore } from "../../core/adapters/disk/disk-segment-store.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SegmentNames } from "../../core/segment/name.ts";
import { storeFolder } from "./crash-workload.ts";
import { simulatedMachine } from "./machine.ts";
import { PowerLossFileSystem } from "./power-loss-file-system.ts";
import { seededRandom } from "./seeded-random.ts";

const tenant = "t";
/** A store is opened for each bit: it takes no megabyte for that. */
const cacheBytes = 65_536;
export const records = 10;

/** Ten commits in three groups, every codec, one overwrite, one delete: what each id must answer, or `undefined` for absent. */
export async function writeTen(
  fs: PowerLossFileSystem,
  segmentBytesMax?: number,
): Promise<{ store: DiskStore; truth: Map<string, Uint8Array | undefined> }> {
  const truth = new Map<string, Uint8Array | undefined>();
  const store = await openDisk({ directory: storeFolder, segmentBytesMax }, simulatedMachine(fs, 1));
  const codecs = ["none", "lz4", "zstd"] as const;
  for (let i = 0; i < records - 2; i++) {
    const bytes = new TextEncoder().encode(`payload ${i} `.repeat(4 + i));
    await store.append({ tenant, group: `g${i % 3}`, id: `id-${i}` }, bytes, {
      codec: codecs[i % 3],
      contentType: "text/plain",
    });
    truth.set(`g${i % 3} id-${i}`, bytes);
  }
  const newer = new TextEncoder().encode("overwritten");
  await store.append({ tenant, group: "g0", id: "id-0" }, newer);
  truth.set("g0 id-0", newer);
  await store.delete({ tenant, group: "g1", id: "id-1" });
  truth.set("g1 id-1", undefined);
  return { store, truth };
}

/** Reads everything. A wrong answer is other bytes, an older value, or absence of what is there. */
export async function wrongAnswers(
  fs: PowerLossFileSystem,
  truth: Map<string, Uint8Array | undefined>,
  groups = ["g0", "g1", "g2"],
): Promise<{ wrong: string[]; corrupt: number }> {
  const wrong: string[] = [];
  let corrupt = 0;
  const judge = (error: unknown, what: string) => {
    if (isPayloadStoreError(error, "CORRUPT") || isPayloadStoreError(error, "UNSUPPORTED_VERSION")) corrupt += 1;
    else wrong.push(`${what}: ${String(error)}`);
  };
  let store: DiskStore;
  try {
    store = await openDisk({ directory: storeFolder, cacheBytes }, simulatedMachine(fs, 2));
  } catch (error) {
    judge(error, "open");
    return { wrong, corrupt };
  }
  for (const [name, bytes] of truth) {
    const [group = "", id = ""] = name.split(" ");
    try {
      const got = await store.get({ tenant, group, id });
      const right = bytes === undefined ? got === undefined : got !== undefined && Buffer.compare(got, bytes) === 0;
      if (!right) wrong.push(`${name}: ${got === undefined ? "absent" : "other bytes"}`);
    } catch (error) {
      judge(error, name);
    }
  }
  for (const group of groups) {
    try {
      const listed: string[] = [];
      for await (const payload of store.list({ tenant, group })) listed.push(`${group} ${payload.id}`);
      const expected = [...truth]
        .filter(([name, bytes]) => name.startsWith(group) && bytes !== undefined)
        .map(([name]) => name);
      if (listed.toSorted().join() !== expected.toSorted().join()) wrong.push(`list ${group}: ${listed.join()}`);
    } catch (error) {
      judge(error, `list ${group}`);
    }
  }
  await store.close();
  return { wrong, corrupt };
}

/** A file of a store, on a machine of its own, and what the store holds. */
export interface Flippable {
  readonly fs: PowerLossFileSystem;
  readonly file: string;
  readonly truth: Map<string, Uint8Array | undefined>;
}

/** The files of a store of ten records: its one segment, in each state that it is read in by ways of its own, and the others. */
export const flippables = {
  growing: async () => {
    const { fs, truth } = await tenRecords();
    const killed = fs.kill();
    return { fs: killed, file: segmentFile(killed), truth };
  },
  "growing, with its index": async () => {
    const { fs, store, truth } = await tenRecords();
    await store.close();
    return { fs, file: segmentFile(fs), truth };
  },
  "sealed, with its index": sealed,
  sealed: async () => {
    const flippable = await sealed();
    flippable.fs.unlink(checkpoint);
    return flippable;
  },
  "store.json": async () => {
    const { fs, store, truth } = await tenRecords();
    await store.close();
    return { fs, file: `${storeFolder}/store.json`, truth };
  },
  checkpoint: async () => {
    const { fs, store, truth } = await tenRecords();
    await store.close();
    return { fs, file: checkpoint, truth };
  },
} as const satisfies Record<string, () => Promise<Flippable>>;

const checkpoint = `${storeFolder}/index/checkpoint`;

async function tenRecords(segmentBytesMax?: number) {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  return { fs, ...(await writeTen(fs, segmentBytesMax)) };
}

async function sealed(): Promise<Flippable> {
  const { fs, store, truth } = await tenRecords(await lengthAfterTen());
  await store.close();
  return { fs, file: segmentFile(fs), truth };
}

/** Opens a store of which one bit is flipped, and reads everything. */
export function flipBit({ fs, file, truth }: Flippable, at: number, bit: number): ReturnType<typeof wrongAnswers> {
  const machine = fs.clone();
  const bytes = machine.readFile(file);
  bytes[at]! ^= 1 << bit;
  machine.writeFile(file, bytes);
  return wrongAnswers(machine, truth);
}

/** The bits to flip, one after the other, in the byte at an offset. */
export type BitsAt = (at: number) => readonly number[];

export async function flipBits(flippable: Flippable, bitsAt: BitsAt): Promise<{ flips: number; corrupt: number }> {
  const bytes = flippable.fs.readFile(flippable.file).length;
  let corrupt = 0;
  let flips = 0;
  for (let at = 0; at < bytes; at++) {
    for (const bit of bitsAt(at)) {
      flips += 1;
      const answers = await flipBit(flippable, at, bit);
      expect(answers.wrong, `byte ${at}, bit ${bit} of ${flippable.file}`).toEqual([]);
      if (answers.corrupt > 0) corrupt += 1;
    }
  }
  return { flips, corrupt };
}

export function segmentFile(fs: PowerLossFileSystem): string {
  const [file, ...more] = fs.files().filter((name) => name.endsWith(".seg"));
  expect(more).toEqual([]);
  return file ?? "";
}

export async function framesOf(fs: PowerLossFileSystem) {
  const layout = new Layout(storeFolder);
  const machine = simulatedMachine(fs, 3);
  const names = new SegmentNames(machine.clock, machine.random);
  const segments = new DiskSegmentStore({
    ...machine,
    layout,
    names,
    digest: nodeDigest,
    segmentBytesMax: 1,
    syncWithinMs: 0,
  });
  const [summary] = await segments.segments();
  return (await segments.scan(summary?.tenant ?? "", summary?.segment ?? "")).frames;
}

/** The length that the ten records reach, so that the last of them seals the segment. */
export async function lengthAfterTen(): Promise<number> {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  await writeTen(fs);
  return fs.readFile(segmentFile(fs)).length;
}

/** Every bit of a byte. */
export const everyBit: BitsAt = () => [0, 1, 2, 3, 4, 5, 6, 7];

/** One bit of each byte, another one for each of eight neighbours. */
export const oneBit: BitsAt = (at) => [at % 8];
