import { describe, expect, test } from "vitest";
import { MemoryErasureLedger } from "../../core/adapters/memory/memory-erasure-ledger.ts";
import { MemoryRowTable } from "../../core/adapters/memory/memory-row-table.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { RowLease } from "../../core/compaction/row-lease.ts";
import { rowTimes } from "../../core/compaction/row-times.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { PayloadStore } from "../../core/payload-store.ts";
import { RowOffsetIndex } from "../../core/rows/row-offset-index.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { text } from "../conformance/sample-bytes.ts";
import { changed } from "../support/changed.ts";
import { ManualClock } from "../support/manual-clock.ts";

const minute = 60_000;

/** A table, and processes whose clocks are so far ahead of it. */
function servers() {
  const clock = new ManualClock();
  const shared = { random: new SystemRandom(), digest: nodeDigest };
  const segments = new MemorySegmentStore({ ...shared, clock });
  const rows = new MemoryRowTable({ clock });
  const erasures = new MemoryErasureLedger();
  const open = (aheadMs: number) => {
    const own = { nowMs: () => clock.nowMs() + aheadMs };
    const frames = new FrameReader(segments, nodeDigest);
    const secret = new Uint8Array(16).fill(7);
    const index = new RowOffsetIndex({ ...shared, clock: own, rows, frames, secret, sleep: async () => {} });
    return new PayloadStore({ ...shared, clock: own, segments, index, erasures, codecs: nodeCodecs });
  };
  return { clock, rows, open };
}

describe.each([["a group", { group: "g" }] as const, ["everything", { everything: true }] as const])(
  "an erasure of %s",
  (_what, selector) => {
    test("hides also what has expired by the clock of who is asked, and not by another's", async () => {
      const { clock, open } = servers();
      const [ahead, behind] = [open(2 * minute), open(0)];
      const key = { tenant: "acme", group: "g", id: "i" };
      await behind.append(key, text("soon over"), { expiresAt: clock.nowMs() + minute });
      expect(await ahead.get(key)).toBeUndefined();

      const { state, payloads } = await ahead.erase({ tenant: "acme", ...selector });

      expect([state, payloads]).toEqual(["hidden", 1]);
      expect(await behind.get(key)).toBeUndefined();
    });
  },
);

describe("the lease of a run", () => {
  test("tells a time that has come, also where its request was held up before it was signed", async () => {
    const { clock, rows } = servers();
    const put: typeof rows.put = (...row) => {
      clock.ms += 10 * minute;
      return rows.put(...row);
    };
    const random = new SystemRandom();

    const lease = await RowLease.take({ rows: changed(rows, { put }), clock, random, leaseMs: rowTimes.leaseMs });

    expect(lease.pastMs()).toBe(clock.nowMs());
    clock.ms += minute;
    expect(lease.pastMs()).toBe(clock.nowMs());
    await lease.goesOn();
    expect(lease.pastMs()).toBe(clock.nowMs());
  });
});
