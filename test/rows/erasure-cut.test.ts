import { expect, test } from "vitest";
import { MemoryErasureLedger } from "../../core/adapters/memory/memory-erasure-ledger.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { MemoryRowTable } from "../../core/adapters/memory/memory-row-table.ts";
import { RowErasures, type RowErasuresTools } from "../../core/compaction/row-erasures.ts";
import { RowLease } from "../../core/compaction/row-lease.ts";
import { Eraser, type EraserTools } from "../../core/erasure/eraser.ts";
import type { ErasureRecord } from "../../core/erasure/erasure.ts";
import { ManualClock } from "../support/manual-clock.ts";

const hidden: ErasureRecord = {
  tenant: "acme",
  id: "0123456789ab",
  state: "hidden",
  selector: { group: "g" },
  requestedMs: 1,
  groups: 1,
  payloads: 1,
  unknown: [],
  segments: [],
  successors: [],
  version: 1,
  pending: [],
};

// A cut that lies before what was erased leaves it where it is, and calls it gone.
test("the cut of an erasure lies behind its hiding, also where the process and its clock stood still since it took the lease", async () => {
  const servers = new ManualClock();
  const own = new ManualClock();
  const rows = new MemoryRowTable({ clock: servers });
  const lease = await RowLease.take({ rows, clock: own, random: new SystemRandom(), leaseMs: 300_000 });
  servers.ms += 3 * 3_600_000;
  const ledger = new MemoryErasureLedger();
  await ledger.put(hidden);
  const hiddenMs = servers.nowMs();
  const tools = {
    eraser: new Eraser({ ledger, clock: own } as unknown as EraserTools),
    nowMs: () => lease.nowMs(),
    askNowMs: () => lease.askNowMs(),
    lateMs: 1_000,
  } as unknown as RowErasuresTools;

  const erasures = await RowErasures.begin(tools, undefined, false);

  expect(lease.nowMs()).toBeLessThan(hiddenMs);
  expect(erasures.cutMs("acme", "g")).toBe(hiddenMs + 1_000);
  expect((await ledger.get("acme", hidden.id))?.shared?.cutMs).toBe(hiddenMs + 1_000);
});
