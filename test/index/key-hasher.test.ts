import { describe, expect, test } from "vitest";
import { KeyHasher, type Hash128 } from "../../core/index/key-hasher.ts";
import { hashKey, sipHash128 } from "../../core/index/siphash.ts";
import { concat, utf8 } from "../../core/bytes.ts";

const secret = Uint8Array.from({ length: 16 }, (_, i) => 7 * i);

/** Suspected: what hashes of one group have in common is taken for another group's. */
describe("the hash of a name in a group", () => {
  const groups = [[], [0], [1], [2], [3], [0, 1, 2, 3]].map((words) => {
    const group = new Int32Array(4);
    for (const word of words) group[word] = 0x1234_5678;
    return group;
  });
  const names = ["", "a", "1234567", "12345678", "é".repeat(20), "x".repeat(200)];

  test("is that of the group's bytes and the name's, whichever group was asked for before", () => {
    const hasher = new KeyHasher(secret);
    const wrong = groups
      .flatMap((group) => [group, group, new Int32Array(4)])
      .flatMap((group) =>
        names.filter((name) => {
          const [id, request] = [new Int32Array(4), new Int32Array(4)];
          hasher.id(group, name, id);
          hasher.request(group, name, request);
          return (
            !sameWords(id, hashed(group, utf8(name))) ||
            !sameWords(request, hashed(group, Uint8Array.of(0xff), utf8(name)))
          );
        }),
      );

    expect(wrong).toEqual([]);
  });
});

function hashed(group: Hash128, ...parts: readonly Uint8Array[]): Hash128 {
  const message = concat([new Uint8Array(group.buffer), ...parts]);
  const hash = new Int32Array(4);
  sipHash128(hashKey(secret), message, message.length, hash);
  return hash;
}

/** The index keeps two words of them. */
function sameWords(a: Hash128, b: Hash128): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
