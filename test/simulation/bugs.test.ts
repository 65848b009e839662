import { describe, expect, test } from "vitest";
import type { Bug } from "../support/simulation/bug.ts";
import { bugs } from "../support/simulation/bugs.ts";
import { firstBrokenBy } from "../support/simulation/first-broken.ts";

describe("schedules notice where", () => {
  test.each(Object.entries<Bug>(bugs))("%s", async (_name, bug) => {
    expect(await firstBrokenBy(bug)).toBeDefined();
  });
});
