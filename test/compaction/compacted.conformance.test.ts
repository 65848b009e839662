import { openMemory } from "../../core/entries/memory.ts";
import { payloadStoreSuite } from "../conformance/index.ts";
import { compactedStore } from "../support/compacted-store.ts";

await payloadStoreSuite({
  name: "memory, compacted between calls,",
  supports: { reopen: false, readers: false, syncs: false, moves: true },
  scale: 0.05,
  open: async (options) => {
    const store = compactedStore(openMemory(options), 10);
    return { store, end: () => store.close() };
  },
});
