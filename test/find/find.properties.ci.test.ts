import { describe, test } from "vitest";
import { findsAsMapsDo } from "../support/find-properties.ts";
import { holds } from "../support/property.ts";
import { smallIndex } from "../support/small-index.ts";

describe("find on a disk that loses its power", () => {
  test("answers as maps do, many times over, with an index that goes to the disk in between", async () => {
    const bounds = { ...smallIndex, plainKeysMax: 12 };
    await holds(import.meta.filename, findsAsMapsDo(bounds), { runs: 500, project: "ci" });
  });
});
