import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";
import { collect } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

const writers = 8;
const appends = 2000;
const tenant = "acme";

/** Half of the payloads lie in the writer's own group, half in one that all writers share. */
const groupOf = (writer: number, n: number): string => (n % 2 === 0 ? `writer-${writer}` : "shared");
const idOf = (writer: number, n: number): string => `${writer}.${n}`;
const bytesOf = (writer: number, n: number): Uint8Array => {
  const seed = writer * appends + n;
  const length = createHash("sha256").update(`${seed}`).digest().readUInt16LE(0) % (n % 50 === 0 ? 40_000 : 1500);
  return n % 3 === 0 ? noise(length, seed) : prose(length, seed);
};

test(
  `${writers} writers of one process, ${appends} appends each: none is wrong and none is missing`,
  { timeout: 300_000 },
  async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "paylode-writers-"));
    try {
      const store = await openDisk({ directory, segmentBytesMax: 1024 * 1024 });
      await Promise.all(Array.from({ length: writers }, (_, writer) => write(store, writer)));

      expect(await compared(store)).toEqual({ wrong: 0, missing: 0 });
      await store.close();
      const reopened = await openDisk({ directory, rebuild: true });
      expect(await compared(reopened)).toEqual({ wrong: 0, missing: 0 });
      expect(reopened.recovery.damage).toEqual([]);
      await reopened.close();
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
);

async function write(store: DiskStore, writer: number): Promise<void> {
  for (let n = 0; n < appends; n += 1) {
    await store.append({ tenant, group: groupOf(writer, n), id: idOf(writer, n) }, bytesOf(writer, n));
  }
}

async function compared(store: DiskStore): Promise<{ wrong: number; missing: number }> {
  let wrong = 0;
  let missing = 0;
  for (let writer = 0; writer < writers; writer += 1) {
    for (let n = 0; n < appends; n += 1) {
      const got = await store.get({ tenant, group: groupOf(writer, n), id: idOf(writer, n) });
      if (got === undefined) missing += 1;
      else if (Buffer.compare(got, bytesOf(writer, n)) !== 0) wrong += 1;
    }
  }
  expect(await store.size({ tenant })).toBe(writers * appends);
  expect(await collect(store.list({ tenant, group: "shared" }))).toHaveLength((writers * appends) / 2);
  return { wrong, missing };
}
