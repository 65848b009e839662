import { describe } from "vitest";
import { laneMapSuite } from "../support/lane-map-suite.ts";

describe("a multimap in lanes", () => {
  laneMapSuite(import.meta.filename, { runs: 600, steps: 60 });
});
