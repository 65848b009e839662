import { describe, expect, test } from "vitest";
import type { ErasureRecord } from "../../core/erasure/erasure.ts";
import type { ErasureLedger } from "../../core/ports/erasure-ledger.ts";

export function sampleErasure(number: number, changes: Partial<ErasureRecord> = {}): ErasureRecord {
  return {
    tenant: "acme",
    id: number.toString(16).padStart(12, "0"),
    state: "hiding",
    selector: { group: "g", ids: ["a", "ü"] },
    requestedMs: 1_000 - number,
    groups: 0,
    payloads: 0,
    unknown: [],
    segments: [],
    successors: [],
    version: 1,
    pending: ["g"],
    ...changes,
  };
}

/** What every ledger of erasures does. */
export function erasureLedgerSuite(
  name: string,
  open: () => Promise<{ ledger: ErasureLedger; again: ErasureLedger }>,
): void {
  describe(`${name} as a ledger of erasures`, () => {
    test("gives back what it keeps, to every process, oldest first", async () => {
      const { ledger, again } = await open();
      const segments = [{ segment: "01jxt21q000123456789abcdef", state: "held" as const, sha256: "a".repeat(64) }];
      const records = [sampleErasure(3), sampleErasure(2, { segments }), sampleErasure(1, { tenant: "other" })];

      for (const record of records) expect(await ledger.put(record)).toBe(true);

      expect(await again.list("acme")).toEqual(records.slice(0, 2));
      expect(await again.list()).toEqual(records);
      expect(await again.get("acme", records[1]!.id)).toEqual(records[1]);
      expect(await again.get("other", records[1]!.id)).toBeUndefined();
      expect(await again.list("nobody")).toEqual([]);
    });

    test("tells which are not gone, to whoever compacts", async () => {
      const { ledger, again } = await open();
      const records = [sampleErasure(3), sampleErasure(2, { tenant: "other" }), sampleErasure(1)];
      for (const record of records) await ledger.put(record);

      expect(await again.open()).toEqual(records);
      expect(await again.open("acme")).toEqual([records[0], records[2]]);
      await ledger.put(sampleErasure(3, { version: 2, state: "gone", goneMs: 9 }));
      await ledger.put(sampleErasure(1, { version: 2, state: "waiting" }));

      expect(await again.open()).toEqual([records[1], sampleErasure(1, { version: 2, state: "waiting" })]);
      expect(await again.open("nobody")).toEqual([]);
    });

    test("keeps a version behind the one before it alone", async () => {
      const { ledger, again } = await open();
      const second = sampleErasure(1, { version: 2, state: "hidden", hiddenMs: 5 });

      expect(await ledger.put(second)).toBe(false);
      expect(await ledger.put(sampleErasure(1))).toBe(true);
      expect(await again.put(second)).toBe(true);
      expect(await ledger.put(sampleErasure(1, { version: 2, payloads: 9 }))).toBe(false);
      expect(await ledger.put(sampleErasure(1, { payloads: 9 }))).toBe(false);

      expect(await ledger.list()).toEqual([second]);
    });
  });
}
