import { describe, expect, test } from "vitest";
import { payloadStoreSuite, type PayloadStoreSuite } from "../conformance/index.ts";

/** Cases of the stores' suite that a client does not pass, and why. */
const notThroughHttp: ReadonlyMap<string, string> = new Map([
  ["keeps each payload's codec, content type and attributes", "lines of a batch name no codec"],
  ["stores nothing when one of the payloads is refused", "HTTP has its own code for too many payloads: TOO_LARGE"],
  ["tells of each payload what head tells", "a list does not tell where bytes lie"],
  ["goes on behind every cursor, in pieces of any length", "a client has pages, not a cursor for each payload"],
  ["goes on behind a cursor whose payload was overwritten, deleted, or stored again", "the same"],
  ["refuses a cursor that no list gave", "the same"],
  ["answers the payloads of all groups that have an attribute, as head does", "a find does not tell where bytes lie"],
  ["goes on behind a cursor whose payload was overwritten, deleted, or is another's meanwhile", "pages, not cursors"],
  ["gives every payload with its bytes, in the order of list, also in pieces", "the same"],
]);

/**
 * The suite of stores, for a client with the face of one; what HTTP cannot say is left out by name.
 * @param more  other cases to leave out, and why
 */
export async function clientSuite(
  suite: Pick<PayloadStoreSuite, "name" | "open" | "scale">,
  more: readonly (readonly [name: string, reason: string])[] = [],
): Promise<void> {
  const without = new Map([...notThroughHttp, ...more]);
  const left = new Set<string>();
  const run = new Set<string>();
  const supports = { reopen: false, readers: false, syncs: false };
  await payloadStoreSuite({
    ...suite,
    supports,
    test: {
      describe,
      test: (name, body) => {
        // A client cannot do what HTTP has no words for; the list above says which and why.
        const define = without.has(name) ? test.skip : test;
        define(name, body);
        (without.has(name) ? left : run).add(name);
      },
    },
  });
  test(`${suite.name} passes the other cases of the suite`, () => {
    expect(left).toEqual(new Set(without.keys()));
    expect(run.size).toBeGreaterThan(50);
  });
}
