import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

const mebibyte = 1_048_576;
const program = path.join(import.meta.dirname, "../support/compacting-process.ts");
/** V8 leaves garbage lie for as long as it may: here it may not, so that what is needed is seen. In MiB. */
const heap = ["--max-old-space-size=64", "--max-semi-space-size=2"];

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "paylode-memory-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

interface Shape {
  readonly segmentBytesMax: number;
  readonly payloadBytes: number;
  readonly groups: number;
  readonly make: (length: number, seed: number) => Uint8Array;
}

interface Told {
  readonly segments: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly openBytes: number;
  readonly peakBytes: number;
}

/** Fills a segment, and compacts it in a process of its own. */
async function compacted({ segmentBytesMax, payloadBytes, groups, make }: Shape): Promise<Told> {
  const store = await openDisk({ directory, segmentBytesMax });
  const ofCommit = Math.max(1, Math.ceil(500_000 / payloadBytes));
  let bytes = 0;
  for (let commit = 0; bytes < segmentBytesMax * 0.95; commit++) {
    const items = Array.from({ length: ofCommit }, (_, i) => {
      const n = commit * ofCommit + i;
      return { id: `${n}`, bytes: make(payloadBytes, n) };
    });
    await store.appendMany({ tenant: "acme", group: `g${commit % groups}` }, items);
    ({ bytes } = await store.storage({ tenant: "acme" }));
  }
  await store.close();
  const { stdout } = await promisify(execFile)(process.execPath, [...heap, program, directory]);
  return JSON.parse(stdout) as Told;
}

// Only Linux tells how much memory a process had at most.
describe.skipIf(process.platform !== "linux")("the memory of compaction", () => {
  const many = { payloadBytes: 20_000, groups: 100, make: noise };

  test.each<{ readonly what: string; readonly shape: Omit<Shape, "segmentBytesMax"> }>([
    { what: "many groups", shape: many },
    // Eight groups at once, with as much as is merged at once of each.
    { what: "groups of 8 MiB", shape: { ...many, groups: 8 } },
    { what: "65,000 short payloads", shape: { ...many, payloadBytes: 1000 } },
    { what: "payloads of 7.9 MB", shape: { ...many, payloadBytes: 7_900_000 } },
    { what: "payloads of 60 MB", shape: { ...many, payloadBytes: 60_000_000, groups: 2 } },
    { what: "what compresses well, and is much longer when it is read", shape: { ...many, groups: 20, make: prose } },
  ])("of a segment of 64 MiB is 128 MiB at most: $what", async ({ what, shape }) => {
    const told = await compacted({ ...shape, segmentBytesMax: 64 * mebibyte });

    const rise = told.peakBytes - told.openBytes;
    console.log(`${what}: ${Math.round(rise / mebibyte)} MiB for ${Math.round(told.bytesIn / mebibyte)} MiB`);
    expect(told.segments).toBe(1);
    expect(told.bytesIn).toBeGreaterThan(48 * mebibyte);
    expect(rise).toBeLessThan(128 * mebibyte);
  });

  test("does not grow with the segment", async () => {
    const small = await compacted({ ...many, segmentBytesMax: 16 * mebibyte });
    await rm(directory, { recursive: true });
    const large = await compacted({ ...many, segmentBytesMax: 64 * mebibyte });

    const [ofSmall, ofLarge] = [small, large].map(({ peakBytes, openBytes }) => peakBytes - openBytes);
    console.log(`16 MiB: ${Math.round(ofSmall! / mebibyte)} MiB; 64 MiB: ${Math.round(ofLarge! / mebibyte)} MiB`);
    expect(ofLarge! - ofSmall!).toBeLessThan(32 * mebibyte);
  });
});
