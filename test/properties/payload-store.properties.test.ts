import { describe, test } from "vitest";
import { holds } from "../support/property.ts";
import { crashLeavesWholeCalls, storeDoesAsMapsDo } from "../support/store-properties.ts";

/** Many runs are asked for by `PBT_RUNS`, and take their time. */
const timeout = 600_000;

describe("a disk store on a machine that loses its power", () => {
  test("does what maps do, whatever happens between two steps", { timeout }, async () => {
    await holds(import.meta.filename, storeDoesAsMapsDo(), { runs: 60 });
  });

  test("leaves whole calls, whenever it stops", { timeout }, async () => {
    await holds(import.meta.filename, crashLeavesWholeCalls(), { runs: 60 });
  });
});
