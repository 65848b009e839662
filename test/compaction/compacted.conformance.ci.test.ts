import { payloadStoreSuite } from "../conformance/index.ts";
import { compactedStore } from "../support/compacted-store.ts";
import { diskUnderTest } from "../support/disk-under-test.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

for (const [kind, bounds] of [
  ["typed arrays", undefined],
  ["an index on disk", smallIndex],
] as const) {
  await payloadStoreSuite({
    name: `a folder with ${kind}, compacted between calls,`,
    supports: { reopen: true, readers: true, syncs: false, moves: true },
    scale: 0.1,
    open: async (options) => {
      const fs = new PowerLossFileSystem({ random: seededRandom(1) });
      const machine = { ...simulatedMachine(fs, 1), ...(bounds ? { indexBounds: bounds } : {}) };
      const { store, reopen, openReader, end } = await diskUnderTest(
        { ...options, directory: "/store", segmentBytesMax: 65_536 },
        machine,
        async () => {},
      );
      return {
        store: compactedStore(store, 5),
        reopen: async () => compactedStore(await reopen(), 5),
        openReader,
        end,
      };
    },
  });
}
