import { bitFlipSuite } from "../support/bit-flip-suite.ts";
import { everyBit } from "../support/bit-flips.ts";

bitFlipSuite(everyBit);
