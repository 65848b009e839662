import { expect, test } from "vitest";
import { MemoryRowTable } from "../../core/adapters/memory/memory-row-table.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { PayloadStore } from "../../core/payload-store.ts";
import type { RowTable } from "../../core/ports/row-table.ts";
import { knowledgeMsMax } from "../../core/rows/knowledge.ts";
import { RowOffsetIndex } from "../../core/rows/row-offset-index.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { rejectsWith, sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import { changed } from "../support/changed.ts";
import { ManualClock } from "../support/manual-clock.ts";

const tenant = "acme";

/** A group of three rows, read two at a time; `heldUp` times the process stands still between the first two and the third. */
async function opened() {
  const shared = { clock: new ManualClock(), random: new SystemRandom(), digest: nodeDigest };
  const table = new MemoryRowTable({ ...shared, pageRowsMax: 2 });
  const state = { heldUp: 0, queries: 0 };
  const rows = changed<RowTable>(table, {
    async *query(partition, from) {
      state.queries += 1;
      const swept = await table.get({ partition, number: 3 });
      for await (const page of table.query(partition, from)) {
        yield page;
        const isFirst = page.rows[0]?.number === 1;
        if (!isFirst || state.heldUp === 0) continue;
        state.heldUp -= 1;
        shared.clock.ms += knowledgeMsMax + 1;
        // While it stands still, a row is swept: nobody may call that an end, or a gap.
        const { record } = swept.row ?? {};
        if (record) await table.remove({ partition, number: 3 }, record, Infinity);
      }
      const { record } = swept.row ?? {};
      if (record) await table.put({ partition, number: 3 }, record, "free", Infinity);
    },
  });
  const segments = new MemorySegmentStore(shared);
  const frames = new FrameReader(segments, nodeDigest);
  const secret = new Uint8Array(16);
  const index = new RowOffsetIndex({ ...shared, rows, frames, secret, sleep: () => Promise.resolve() });
  const store = new PayloadStore({ ...shared, segments, index, codecs: nodeCodecs });
  for (const id of ["a", "b", "c"]) await store.append({ tenant, group: "g", id }, prose(100, id.charCodeAt(0)));
  return { store, state };
}

test("a group whose reader stands still in the middle is read anew, as often as that happens", async () => {
  for (const heldUp of [1, 2, 3]) {
    const { store, state } = await opened();
    Object.assign(state, { heldUp, queries: 0 });

    sameBytes(await store.get({ tenant, group: "g", id: "c" }), prose(100, "c".charCodeAt(0)));
    expect(state.queries).toBe(heldUp + 1);
  }
});

test("a reader that stands still each time says so, and never that the payload is absent or damaged", async () => {
  const { store, state } = await opened();
  state.heldUp = Infinity;

  const error = await rejectsWith("UNAVAILABLE", () => store.get({ tenant, group: "g", id: "c" }));
  expect(error.message).toContain("held up 4 times");
});
