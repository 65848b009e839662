import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { indexBounds } from "../../core/lsm/index-bounds.ts";
import { offsetIndexSuite, payloadStoreSuite } from "../conformance/index.ts";
import { hashStoreSupports, openHashIndex, openHashStore } from "../support/disk-hash-suites.ts";
import { smallIndex } from "../support/small-index.ts";

await payloadStoreSuite({
  name: "disk with an on-disk index",
  supports: hashStoreSupports,
  scale: 0.2,
  open: (options) => openHashStore(options, smallIndex),
});

for (const [name, bounds] of [
  ["disk hash", indexBounds],
  ["disk hash that is written again and again", smallIndex],
] as const) {
  await offsetIndexSuite({ name, digest: nodeDigest, open: () => openHashIndex(bounds) });
}
