import { describe, test } from "vitest";
import { flipIndexBytes } from "../support/disk-hash-store.ts";

describe("the index on disk", () => {
  test("with any byte of its files flipped is made anew, and every answer is right", () => flipIndexBytes(1, 1));
});
