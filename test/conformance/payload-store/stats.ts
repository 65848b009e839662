import assert from "node:assert/strict";
import type { PayloadStore } from "../../../core/payload-store.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { Recount } from "../recount.ts";
import { Draws, noise, prose } from "../sample-bytes.ts";

const tenant = "acme";

/** Counts that are exact whatever was overwritten and deleted. */
export function statsCases({ describe, given, scaled, supports }: PayloadStoreCases): void {
  describe("stats", () => {
    given("of lone payloads are their lengths and their stored bytes", async ({ store }) => {
      const lz4 = await store.append({ tenant, group: "g", id: "a" }, prose(5000, 1));
      const zstd = await store.append({ tenant, group: "g", id: "b" }, prose(200_000, 2));
      const none = await store.append({ tenant, group: "g", id: "c" }, noise(5000, 3));
      await store.append({ tenant, group: "h", id: "d" }, new Uint8Array(0));

      const compressedBytes = lz4.stored + zstd.stored + none.stored;
      assert.deepEqual(await store.stats({ tenant }), {
        payloads: 4,
        uncompressedBytes: 210_000,
        compressedBytes,
        ratio: 210_000 / compressedBytes,
        none: 2,
        lz4: 1,
        zstd: 1,
        exact: true,
      });
    });

    given("share a block out among the payloads of a batch, by their lengths", async ({ store }) => {
      const items = [300, 0, 900, 100].map((length, i) => ({ id: `${i}`, bytes: prose(length, i) }));

      const [first] = await store.appendMany({ tenant, group: "g" }, items);

      const stored = first?.stored ?? assert.fail();
      const shares = [300, 900, 100].map((length) => Math.ceil((stored * length) / 1300));
      const { compressedBytes } = await store.stats({ tenant });
      assert.equal(
        compressedBytes,
        shares.reduce((sum, share) => sum + share),
      );
      assert.ok(compressedBytes - stored < 3);
    });

    given("go back to those of an empty store when everything is deleted", async ({ store }) => {
      const empty = await store.stats({ tenant });
      const items = Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, bytes: prose(i * 40, i) }));
      await store.appendMany({ tenant, group: "g" }, items);
      await store.appendMany({ tenant, group: "h" }, items);
      for (const { id } of items) await store.delete({ tenant, group: "g", id });
      await store.deleteGroup({ tenant, group: "h" });

      assert.deepEqual(await store.stats({ tenant }), empty);
    });

    const steps = scaled(400);
    given(`equal a recount of the payloads of ${steps} mixed calls, with overwrites and deletes`, async (opened) => {
      const recounts = new Map(["a", "b"].map((name) => [name, new Recount()] as const));
      await mixedWork(opened.store, recounts, steps);

      await assertEqual(opened.store, recounts);
      if (supports.reopen && opened.reopen) await assertEqual(await opened.reopen(), recounts);
    });
  });
}

async function assertEqual(store: PayloadStore, recounts: ReadonlyMap<string, Recount>): Promise<void> {
  for (const [name, recount] of recounts) {
    assert.deepEqual(await store.stats({ tenant: name }), recount.stats());
    assert.equal(await store.size({ tenant: name }), recount.size);
    assert.equal(await store.isEmpty({ tenant: name }), recount.size === 0);
  }
}

async function mixedWork(store: PayloadStore, recounts: ReadonlyMap<string, Recount>, steps: number): Promise<void> {
  const draws = new Draws(11);
  const sample = () => {
    const length = draws.logUniform(draws.below(50) === 0 ? 150_000 : 3000);
    return draws.below(3) === 0 ? noise(length, draws.next()) : prose(length, draws.next());
  };
  for (let step = 0; step < steps; step++) {
    const [name, recount] = draws.pick([...recounts]);
    const group = `g${draws.below(6)}`;
    const id = `${draws.below(200)}`;
    const kind = draws.below(10);
    if (kind < 4) {
      const start = draws.below(200);
      const ids = Array.from({ length: 1 + draws.below(60) }, (_, i) => `${start + i}`);
      const items = ids.map((itemId) => ({ id: itemId, bytes: sample() }));
      recount.stored(group, ids, await store.appendMany({ tenant: name, group }, items));
    } else if (kind < 7) {
      recount.stored(group, [id], [await store.append({ tenant: name, group, id }, sample())]);
    } else if (kind < 9) {
      assert.equal(await store.delete({ tenant: name, group, id }), recount.deleted(group, id));
    } else if (draws.below(4) === 0) {
      assert.equal(await store.deleteGroup({ tenant: name, group }), recount.groupDeleted(group));
    }
  }
}
