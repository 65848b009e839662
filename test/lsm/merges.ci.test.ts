import { expect, test } from "vitest";
import { readDuringMerges } from "../support/reading-during-merges.ts";

/** A minute of it is a part of the soak, `merges`. */
test("readers, also those that follow, get each payload as it is while the index on disk merges without a pause", async () => {
  const { wrong, merges, reads } = await readDuringMerges(1, 8_000);

  expect(wrong).toEqual([]);
  expect(merges).toBeGreaterThan(20);
  expect(reads).toBeGreaterThan(2000);
});
