import { describe, expect, test } from "vitest";
import { faultyFileSystem } from "../support/faulty-file-system.ts";
import { answersOf, indexKinds, storesWith, type WrittenStore } from "../support/damaged-store.ts";
import { perTier } from "../support/per-tier.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { scanSegment } from "../../core/segment/scan.ts";

const tenant = "t";

describe.each(indexKinds)("with an index %s,", (_kind, bounds) => {
  const { opened, writtenStore } = storesWith(bounds);

  /** A store in which a page of the third segment is flipped. */
  async function damaged(seed = 4): Promise<WrittenStore & { readonly file: string; readonly whole: Uint8Array }> {
    const store = await writtenStore(seed);
    const file = store.files[2]!;
    const whole = store.fs.readFile(file);
    const segment = file.split("/").at(-1)!.replace(".seg", "");
    const read = (at: number, length: number) => whole.subarray(at, at + length);
    const { frames } = await scanSegment({ tenant, segment, size: whole.length, read }, nodeDigest);
    const bytes = whole.slice();
    bytes[frames[1]!.offset + 70]! ^= 1;
    store.fs.writeFile(file, bytes);
    return { ...store, file, whole };
  }

  describe("repair", () => {
    test("finds nothing to do in a whole store", async () => {
      const { fs } = await writtenStore(4);
      const store = await opened(fs, 50);
      const before = fs.files();

      const report = await store.repair({ acceptLoss: true });

      expect(report).toMatchObject({ mended: [], lost: [], accepted: [], restored: [], rebuilt: false });
      expect(fs.files()).toEqual(before);
      await store.close();
    });

    test("says with dryRun what it would do, and does nothing", async () => {
      const { fs, file } = await damaged();
      const store = await opened(fs, 50);
      const before = fs.readFile(file);

      const report = await store.repair({ dryRun: true, acceptLoss: true });

      expect(report.mended).toHaveLength(1);
      expect(report.lost).toHaveLength(1);
      expect(report.accepted).toEqual([]);
      expect(fs.readFile(file)).toEqual(before);
      expect(fs.files().some((name) => name.includes("quarantine") || name.endsWith("losses.json"))).toBe(false);
      await store.close();
    });

    test("keeps the damaged bytes with a note of what was lost, and every location that was whole", async () => {
      const { fs, file } = await damaged();
      const before = fs.readFile(file);
      const whole = await opened((await writtenStore(4)).fs, 50);
      const locations: Parameters<typeof whole.getAt>[1][] = [];
      for await (const { group } of whole.groups({ tenant }))
        for await (const { location } of whole.list({ tenant, group })) locations.push(location);
      const store = await opened(fs, 50);

      const { mended, lost } = await store.repair();

      const name = mended[0]!.quarantined!;
      const quarantined = fs.files().find((known) => known.endsWith(`quarantine/${name}`))!;
      expect(fs.readFile(quarantined)).toEqual(before);
      const note = JSON.parse(new TextDecoder().decode(fs.readFile(`${quarantined}.json`)));
      expect(note).toMatchObject({
        tenant,
        file: name,
        losses: [{ group: lost[0]!.group, sequence: lost[0]!.sequence }],
      });
      expect(locations.length).toBeGreaterThan(10);
      for (const location of locations)
        expect(await store.getAt({ tenant }, location)).toEqual(await whole.getAt({ tenant }, location));
      expect((await store.verify()).counts).toMatchObject({ damaged: 0, dangling: 0 });
      await store.close();
    });

    test("done again changes nothing", async () => {
      const { fs } = await damaged();
      const store = await opened(fs, 50);
      const first = await store.repair();
      const files = fs.files();

      const again = await store.repair();

      expect(again).toMatchObject({ mended: [], restored: [], rebuilt: false });
      expect(again.lost.length).toBe(first.lost.length);
      expect(fs.files()).toEqual(files);
      await store.close();
    });

    test("finds the same, names it and serves the rest where files of the index are damaged too, or gone", async () => {
      const told = async (fs: WrittenStore["fs"]) => {
        const store = await opened(fs, 50);
        const { lost, mended } = await store.repair();
        // An index that is made anew tells of the lost page once more, by the gap that it leaves.
        const written = lost.filter(({ start, end }) => start < end);
        const losses = written.map(({ segment, start, end, group, sequence, frames }) => {
          return { segment, start, end, group, sequence, frames };
        });
        return { store, losses, mended: mended.map(({ segment, frames }) => ({ segment, frames })) };
      };
      const { fs: whole, history } = await damaged();
      const files = whole.files().filter((name) => name.includes("/index/"));
      const expected = await told(whole.clone());
      const answers = await answersOf(expected.store, history);
      expect(expected.losses).toHaveLength(1);
      expect(expected.mended).toHaveLength(1);
      expect(files.length).toBeGreaterThan(bounds ? 4 : 0);

      for (const file of files) {
        const { length } = whole.readFile(file);
        for (const at of [0, Math.floor(length / 2), length - 1, undefined]) {
          const fs = whole.clone();
          const bytes = fs.readFile(file);
          if (at === undefined) fs.unlink(file);
          else fs.writeFile(file, bytes.with(at, bytes[at]! ^ 4));

          const { store, losses, mended } = await told(fs);

          const what = `byte ${at} of ${file}`;
          expect({ losses, mended }, what).toEqual({ losses: expected.losses, mended: expected.mended });
          expect(await answersOf(store, history), what).toEqual(answers);
          // One that no index names any more is told by its group, which cannot be listed.
          const { faults } = await store.verify();
          expect(faults, what).toHaveLength(1);
          expect(["lost", "unreachable"], what).toContain(faults[0]?.kind);
          await store.close();
        }
      }
    });

    test("finds a segment whole that was restored from a copy, and serves all of it", async () => {
      const { fs, file, whole, history } = await damaged();
      let store = await opened(fs, 50);
      await store.repair();
      await store.close();
      fs.writeFile(file, whole);
      store = await opened(fs, 51);

      const { restored, lost } = await store.repair();

      expect(restored).toHaveLength(1);
      expect(lost).toEqual([]);
      expect(await answersOf(store, history)).toEqual({ wrong: [], corrupt: [], absent: [], unlisted: [] });
      expect((await store.verify()).faults).toEqual([]);
      await store.close();
    });

    test("that accepts a loss makes a damaged payload absent, and the rest of its group is listed and read", async () => {
      const { fs, files } = await writtenStore(6);
      let store = await opened(fs, 50);
      const { segment } = await store.append(
        { tenant, group: "new", id: "a" },
        new TextEncoder().encode("x".repeat(3000)),
        { codec: "none" },
      );
      await store.append({ tenant, group: "new", id: "b" }, new TextEncoder().encode("b"));
      await store.close();
      const file = fs.files().find((name) => name.includes(segment))!;
      expect(files).not.toContain(file);
      const bytes = fs.readFile(file);
      bytes[new TextDecoder("latin1").decode(bytes).indexOf("xxxxxxxx") + 100] = 0;
      fs.writeFile(file, bytes);
      store = await opened(fs, 51);
      await expect(store.get({ tenant, group: "new", id: "a" })).rejects.toMatchObject({ code: "CORRUPT" });

      const { deleted } = await store.repair({ acceptLoss: true });

      expect(deleted).toEqual([{ tenant, group: "new", ids: ["a"] }]);
      expect(await store.get({ tenant, group: "new", id: "a" })).toBeUndefined();
      expect(await store.get({ tenant, group: "new", id: "b" })).toEqual(new TextEncoder().encode("b"));
      const verified = await store.verify();
      expect(verified.faults).toEqual([]);
      expect(verified.accepted).toBe(1);
      await store.close();
    });
  });

  describe("a rebuild", () => {
    test("does not forget a segment that is gone and that the old index knew", async () => {
      const { fs, files, history } = await writtenStore(5);
      fs.unlink(files[1]!);
      const store = await opened(fs, 50, { rebuild: true });

      const answers = await answersOf(store, history);

      expect(answers.wrong).toEqual([]);
      expect(answers.absent).toEqual([]);
      expect(answers.corrupt.length + answers.unlisted.length).toBeGreaterThan(0);
      const { damage } = await store.rebuildIndex();
      expect(damage.some(({ reason }) => reason === "the segment is gone")).toBe(true);
      await store.close();
    });
  });

  describe("a repair during which any single step fails", () => {
    test.each([
      { how: "before", first: 1 },
      { how: "after", first: 2 },
      { how: "short", first: 3 },
    ] as const)(
      "($how) leaves a store that serves nothing wrong, and is done by the next one",
      async ({ how, first }) => {
        const counting = faultyFileSystem((await damaged()).fs, { failAt: Infinity, how });
        const counted = await opened(counting, 50);
        const from = counting.steps;
        await counted.repair({ acceptLoss: true });
        const until = counting.steps;
        await counted.close();
        expect(until - from).toBeGreaterThan(20);

        for (let failAt = from + first; failAt <= until; failAt += bounds ? perTier(71, 19) : perTier(12, 3)) {
          const { fs, history } = await damaged();
          const faulty = faultyFileSystem(fs, { failAt, how });
          const store = await opened(faulty, 50);
          await store
            .repair({ acceptLoss: true })
            .catch((error: unknown) => expect(isPayloadStoreError(error)).toBe(true));
          await store.close().catch(() => {});
          const survivor = failAt % 2 === 0 ? fs.powerLoss() : fs.kill();

          const next = await opened(survivor, 60);
          const between = await answersOf(next, history);
          expect(between.wrong, `step ${failAt}: ${faulty.failed}`).toEqual([]);
          await next.repair({ acceptLoss: true });

          const answers = await answersOf(next, history);
          expect({ ...answers, absent: [] }, `step ${failAt}: ${faulty.failed}`).toEqual({
            wrong: [],
            corrupt: [],
            absent: [],
            unlisted: [],
          });
          expect((await next.verify()).faults, `step ${failAt}: ${faulty.failed}`).toEqual([]);
          await next.close();
        }
      },
    );

    test("needs the syncs of a repair: without them a power cut takes the note of what is lost, or the mended segment", async () => {
      const violations = async (seed: number, reasons: readonly "repair"[]) => {
        const { fs, history } = await damaged(seed);
        fs.ignoreSyncs(new Set(reasons));
        const store = await opened(fs, seed + 50);
        await store.repair();
        const survivor = fs.powerLoss();
        const next = await opened(survivor, seed + 60, { rebuild: true });
        const { absent, wrong } = await answersOf(next, history);
        const found = [...absent, ...wrong];
        if (!survivor.files().some((name) => name.endsWith("losses.json"))) found.push("nothing tells what is lost");
        return found;
      };

      const lost: string[] = [];
      for (let seed = 1; seed <= 12; seed++) {
        expect(await violations(seed, [])).toEqual([]);
        // Or nothing opens any more.
        if (lost.length === 0)
          lost.push(...(await violations(seed, ["repair"]).catch((error: unknown) => [String(error)])));
      }
      expect(lost).not.toEqual([]);
    });
  });
});
