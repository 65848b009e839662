import { payloadStoreSuite } from "../conformance/index.ts";
import { hashStoreSupports, openHashStore } from "../support/disk-hash-suites.ts";
import { smallIndex } from "../support/small-index.ts";

// The switch comes in the middle of a test's work, wherever that is.
for (const plainKeysMax of [5, 40]) {
  await payloadStoreSuite({
    name: `disk with an index that goes to the disk beyond ${plainKeysMax} keys`,
    supports: hashStoreSupports,
    open: (options) => openHashStore(options, { ...smallIndex, plainKeysMax }),
  });
}
