import { writeSync } from "node:fs";
import { openDisk } from "../../core/entries/disk.ts";
import { compactorIndex, payloadOf, tenant } from "./kill-payloads.ts";
import { seededRandom } from "./seeded-random.ts";

/**
 * A process to be killed: `kill-compactor.ts FOLDER TRIAL [on-disk]`, the last for a small index on disk. Four callers append and delete, two read what was acknowledged and
 * compare it, and the folder is compacted without a pause. Told on standard output, in one system call each: `+ GROUP N` that
 * a payload is stored, `? GROUP N` that it is about to be deleted, `- GROUP N` that it is, `! …` that an answer was wrong.
 */
const [directory = "", trial = "", kind = ""] = process.argv.slice(2);
const machine = kind === "on-disk" ? { indexBounds: compactorIndex } : {};
const store = await openDisk({ directory, segmentBytesMax: 128 * 1024 }, machine);
writeSync(1, "open\n");

const live: { readonly group: string; readonly n: number }[] = [];

async function write(writer: number): Promise<never> {
  const group = `trial-${trial}-writer-${writer}`;
  for (let n = 0; ; n++) {
    await store.append({ tenant, group, id: `${n}` }, payloadOf(group, n), { attributes: { third: `${n % 3}` } });
    writeSync(1, `+ ${group} ${n}\n`);
    // Two of three are deleted, sooner or later.
    if (n % 3 === 0) {
      live.push({ group, n });
      continue;
    }
    const old = n - (n % 7);
    if (old % 3 === 0) continue;
    writeSync(1, `? ${group} ${old}\n`);
    await store.delete({ tenant, group, id: `${old}` });
    writeSync(1, `- ${group} ${old}\n`);
  }
}

async function read(seed: number): Promise<never> {
  const random = seededRandom(seed);
  for (;;) {
    const asked = live[Math.floor(random() * live.length)];
    if (asked) {
      const { group, n } = asked;
      const got = await store.get({ tenant, group, id: `${n}` });
      if (!got || Buffer.compare(got, payloadOf(group, n)) !== 0) writeSync(1, `! ${group} ${n}\n`);
    }
    await new Promise(setImmediate);
  }
}

async function compact(): Promise<never> {
  for (;;) {
    await store.compact({
      graceMs: 0,
      rules: { deadShareMin: 0.1, smallCountMin: 2, baseBytes: 1000, baseEveryBytes: 20_000, restMs: 0 },
    });
    await new Promise(setImmediate);
  }
}

await Promise.all([...[0, 1, 2, 3].map(write), read(1), read(2), compact()]);
