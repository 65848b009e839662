import { describe, test } from "vitest";
import { holds } from "../support/property.ts";
import { crashLeavesWholeCalls, storeDoesAsMapsDo } from "../support/store-properties.ts";

/** The same laws as in every save, over more of what chance can do. */
describe("a disk store on a machine that loses its power, at length", () => {
  test("does what maps do, whatever happens between two steps", async () => {
    await holds(import.meta.filename, storeDoesAsMapsDo(), { runs: 2000, project: "ci" });
  });

  test("leaves whole calls, whenever it stops", async () => {
    await holds(import.meta.filename, crashLeavesWholeCalls(), { runs: 2000, project: "ci" });
  });
});
