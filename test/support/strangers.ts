import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openDisk } from "../../core/entries/disk.ts";
import { indexBounds } from "../../core/lsm/index-bounds.ts";

/** So small that three levels come to be. */
const bounds = { ...indexBounds, lanes: 8, laneChangesMax: 2000, level0KeysMax: 4000 };
const tenant = "t";
const groups = 100;
const idsOfGroup = 1000;
/** One look-up in so many is of what is there. */
const everyStranger = 100;

export interface StrangersReport {
  readonly asked: number;
  /** What was said to be there and was never stored; what was stored and was said not to be there. */
  readonly invented: readonly string[];
  readonly lost: readonly string[];
}

/**
 * Asks a folder with an index on disk of 100,000 ids for as many others as are to be asked, and now and then for one that it has.
 * Of four strangers one has a group that is a stranger, too.
 *
 * Suspected: a stranger that shares its bits of the index with somebody is taken for him.
 */
export async function askForStrangers(first: number, count: number): Promise<StrangersReport> {
  const directory = await mkdtemp(path.join(tmpdir(), "paylode-strangers-"));
  const invented: string[] = [];
  const lost: string[] = [];
  try {
    const store = await openDisk({ directory, index: "disk-hash", durability: "fast" }, { indexBounds: bounds });
    for (let group = 0; group < groups; group++) {
      const items = Array.from({ length: idsOfGroup }, (_, id) => ({ id: `${id}`, bytes: Uint8Array.of(id) }));
      await store.appendMany({ tenant, group: `g${group}` }, items);
    }
    for (let i = first; i < first + count; i++) {
      const group = `${i % 4 === 0 ? "never" : "g"}${i % groups}`;
      const id = `never ${i}`;
      if (await store.has({ tenant, group, id })) invented.push(`${group}/${id}`);
      if (i % everyStranger !== 0) continue;
      const member = { tenant, group: `g${Math.floor(i / everyStranger) % groups}`, id: `${i % idsOfGroup}` };
      if (!(await store.has(member))) lost.push(`${member.group}/${member.id}`);
    }
    await store.close();
    return { asked: count, invented, lost };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
