import { expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { scanSegment } from "../../core/segment/scan.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** Suspected: a sealed segment is read whole, or its end bit by bit, to know what is in it. */
test("a sealed segment tells its frames by one read of its end, and of each frame its head alone is read", async () => {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  const store = await openDisk({ directory: "/store", segmentBytesMax: 12 * 1024 * 1024 }, simulatedMachine(fs, 1));
  for (let i = 0; i < 13; i++) await store.append({ tenant: "t", group: "g", id: `${i}` }, noise(1024 * 1024, i));
  await store.close();
  const [file] = fs.files().filter((name) => name.endsWith(".seg"));
  const bytes = fs.readFile(file!);
  const segment = file!.split("/").at(-1)!.replace(".seg", "");
  const reads: { readonly offset: number; readonly length: number }[] = [];
  const read = (offset: number, length: number) => {
    reads.push({ offset, length });
    return bytes.subarray(offset, offset + length);
  };

  const scan = await scanSegment({ tenant: "t", segment, size: bytes.length, read }, nodeDigest);

  expect([scan.sealed, scan.frames.length, scan.damage]).toEqual([true, 12, []]);
  const last = scan.frames.at(-1)!;
  const footerAt = last.offset + last.headBytes + last.bodyBytes;
  expect(reads.filter(({ offset, length }) => offset + length > footerAt)).toHaveLength(1);
  // The header, the end, and frames whose heads are a MiB from one another.
  expect(reads.length).toBeLessThanOrEqual(2 + scan.frames.length);
  expect(reads.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(bytes.length / 3);
});
