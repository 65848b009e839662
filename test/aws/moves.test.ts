import { afterAll, describe, expect, test } from "vitest";
import { inOrder } from "../../core/adapters/aws/rebuild.ts";
import { startFaultyServers } from "../support/aws/handlers.ts";
import { awsMovesSuite } from "../support/aws/moves-suite.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

awsMovesSuite("S3 double and dynalite", {
  ...servers,
  clients: { s3: servers.s3.client(), dynamo: servers.dynamo.client({ maxAttempts: 1 }) },
});

/** Frames as they lie in segments: each with the sequence that its writer hoped for, and a name for people. */
const order = (...frames: readonly [number, string][]) =>
  inOrder(frames.map(([sequence, name]) => ({ sequence, name })))
    .map(({ name }) => name)
    .join("");

describe("frames of a group", () => {
  test.each([
    ["one process wrote", "abc", order([1, "a"], [2, "b"], [3, "c"])],
    [
      "one wrote that knew nothing of what was there, which is last all the same",
      "abcx",
      order([1, "a"], [2, "b"], [3, "c"], [1, "x"]),
    ],
    [
      "two hoped for the same sequence, in the order of their segments",
      "abxc",
      order([1, "a"], [2, "b"], [2, "x"], [3, "c"]),
    ],
    ["a clock that was late named before what its process knew of", "axb", order([2, "x"], [1, "a"], [3, "b"])],
    ["some of which are lost, stay in the order of their segments", "bdx", order([2, "b"], [4, "d"], [1, "x"])],
  ])("that %s, are in order", (_what, expected, found) => {
    expect(found).toBe(expected);
  });
});
