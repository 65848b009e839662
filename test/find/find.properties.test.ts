import { describe, test } from "vitest";
import { indexBounds } from "../../core/lsm/index-bounds.ts";
import { findsAsMapsDo } from "../support/find-properties.ts";
import { holds } from "../support/property.ts";
import { smallIndex } from "../support/small-index.ts";

describe("find on a disk that loses its power", () => {
  test.each([
    ["in typed arrays", indexBounds],
    ["on disk", smallIndex],
    ["that goes to the disk in between", { ...smallIndex, plainKeysMax: 12 }],
  ] as const)("answers as maps do, with an index %s", async (_name, bounds) => {
    await holds(import.meta.filename, findsAsMapsDo(bounds), { runs: 12 });
  });
});
