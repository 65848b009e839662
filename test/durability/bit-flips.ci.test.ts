import { bitFlipSuite } from "../support/bit-flip-suite.ts";
import { everyBit, lengthAfterTen, oneBit } from "../support/bit-flips.ts";

const footer = await lengthAfterTen();

// Every bit of a segment once, and where it is in another state, of what it has then only. The soak flips them all.
bitFlipSuite((what) => {
  if (what === "growing" || what === "store.json") return everyBit;
  return (at) => (what.startsWith("sealed") && at >= footer ? everyBit(at) : oneBit(at));
});
