import { describe, expect, test } from "vitest";
import { answersOf, damageSome, indexKinds, storesWith } from "../support/damaged-store.ts";
import { seededRandom } from "../support/seeded-random.ts";

const firstSeed = Number(process.env["DAMAGE_SEED"] ?? 1);
const seeds = Number(process.env["DAMAGE_SEEDS"] ?? 10);

describe.each(indexKinds)("a store with an index %s that is damaged by chance", (_kind, bounds) => {
  const { opened, writtenStore } = storesWith(bounds);

  test.each(Array.from({ length: seeds }, (_, i) => firstSeed + i))(
    "serves what is whole and never anything wrong: found damaged, repaired, made anew, accepted (DAMAGE_SEED=%i)",
    async (seed) => {
      const random = seededRandom(seed * 7);
      const { fs, history, files } = await writtenStore(seed);
      const what = damageSome(fs, files, random);

      let store = await opened(fs, seed + 100);
      const found = await answersOf(store, history);
      expect(found.wrong, what).toEqual([]);
      expect(found.absent, what).toEqual([]);

      await store.repair();
      const repaired = await answersOf(store, history);
      expect(repaired.wrong, what).toEqual([]);
      expect(repaired.absent, what).toEqual([]);
      // Each id that was answered is answered still.
      expect(new Set(found.corrupt).isSupersetOf(new Set(repaired.corrupt)), what).toBe(true);
      const after = await store.verify();
      expect(new Set(after.faults.map(({ kind }) => kind)).difference(new Set(["lost"])), what).toEqual(new Set());
      await store.close();

      store = await opened(fs, seed + 101, { rebuild: true });
      const anew = await answersOf(store, history);
      expect(anew.wrong, what).toEqual([]);
      expect(anew.absent, what).toEqual([]);
      await store.close();

      store = await opened(fs, seed + 102);
      await store.repair({ acceptLoss: true });
      const accepted = await answersOf(store, history);
      expect({ ...accepted, wrong: [], absent: [] }, what).toEqual({
        wrong: [],
        absent: [],
        corrupt: [],
        unlisted: [],
      });
      expect((await store.verify()).faults, what).toEqual([]);
      await store.close();

      store = await opened(fs, seed + 103, { rebuild: true });
      expect(await answersOf(store, history), what).toEqual(accepted);
      expect((await store.verify()).faults, what).toEqual([]);
      await store.close();
    },
  );

  test.each(Array.from({ length: seeds }, (_, i) => firstSeed + i))(
    "brings nothing back that was overwritten or deleted when its losses are accepted (DAMAGE_SEED=%i)",
    async (seed) => {
      const random = seededRandom(seed * 11);
      const { fs, history, files } = await writtenStore(seed);
      const what = damageSome(fs, files, random);
      let store = await opened(fs, seed + 100);
      const found = await answersOf(store, history);

      const { accepted } = await store.repair({ acceptLoss: true });

      const served = await answersOf(store, history);
      expect(served.wrong, what).toEqual([]);
      expect(served.corrupt, what).toEqual([]);
      expect(served.unlisted, what).toEqual([]);
      expect(new Set(found.corrupt).isSupersetOf(new Set(served.absent)), what).toBe(true);
      expect((await store.verify()).faults, what).toEqual([]);
      expect(accepted.length > 0 || found.corrupt.length === 0, what).toBe(true);
      await store.close();

      store = await opened(fs, seed + 101, { rebuild: true });
      expect(await answersOf(store, history), what).toEqual(served);
      await store.close();
    },
  );
});
