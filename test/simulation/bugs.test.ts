import { describe, expect, test } from "vitest";
import type { Bug } from "../support/simulation/bug.ts";
import { bugs } from "../support/simulation/bugs.ts";
import { firstBrokenBy, lapsingSeeds } from "../support/simulation/first-broken.ts";
import { lapsingBugs } from "../support/simulation/lapsing-bugs.ts";

describe("schedules notice where", () => {
  test.each(Object.entries<Bug>(bugs))("%s", async (_name, bug) => {
    expect(await firstBrokenBy(bug)).toBeDefined();
  });
});

describe("schedules in which payloads expire notice where", () => {
  test.each(Object.entries<Bug>(lapsingBugs))("%s", async (_name, bug) => {
    expect(await firstBrokenBy(bug, lapsingSeeds)).toBeDefined();
  });
});
