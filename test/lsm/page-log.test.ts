import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { concat } from "../../core/bytes.ts";
import { isIndexDamage } from "../../core/lsm/run.ts";
import { type LoggedPage, PageLog, pageRecordBytes } from "../../core/lsm/page-log.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** Suspected: a record that is kept is answered for another page's, or for one that was moved since or is damaged. */
describe("the log of pages", () => {
  test("answers each page as it was added, read once or again, and where it was moved to", () => {
    const { log } = written(9000);
    const random = seededRandom(1);

    for (let i = 0; i < 40_000; i++) {
      const number = Math.floor(random() * (i % 2 === 0 ? 9000 : 50));
      expect(log.page(number)).toEqual(pageOf(number));
    }
    log.move(7, 99, 12_345, 678);
    for (let again = 0; again < 2; again++)
      expect(log.page(7)).toEqual({ ...pageOf(7), segment: 99, offset: 12_345, headBytes: 678 });
    expect(log.page(7 + 4096)).toEqual(pageOf(7 + 4096));
  });

  test("reads neighbours once, however often they are asked for", () => {
    const { log } = written(5000);

    for (let again = 0; again < 3; again++) for (let number = 500; number < 3500; number++) log.page(number);

    expect(log.reads).toBe(3000);
  });

  test("says of a damaged record that it is", () => {
    const { log, bytes } = written(3000);
    bytes[1000 * pageRecordBytes + 5]! ^= 1;

    for (let again = 0; again < 2; again++)
      expect(() => log.page(1000)).toThrow(expect.toSatisfy((error: unknown) => isIndexDamage(error)));
    expect(log.page(1001)).toEqual(pageOf(1001));
  });
});

function pageOf(number: number): LoggedPage {
  const place = { segment: number % 7, offset: 1000 * number, headBytes: 100 + (number % 50) };
  return { ...place, sequence: number + 1, previous: number, live: number % 3, cleared: 0, groupCheck: ~number };
}

/** A log whose pages are in a file, as one that was opened is. */
function written(pages: number): { log: PageLog; bytes: Uint8Array } {
  const secret = new Uint8Array(16).fill(3);
  const adding = new PageLog(secret, (bytes, seed) => nodeDigest.crc32(bytes, seed));
  for (let number = 0; number < pages; number++) adding.add(pageOf(number));
  const bytes = concat(adding.unwritten(pages)).slice();
  const file = {
    read(target: Uint8Array, offset: number): number {
      const found = bytes.subarray(offset, offset + target.length);
      target.set(found);
      return found.length;
    },
    close() {},
  };
  const log = new PageLog(secret, (bytes, seed) => nodeDigest.crc32(bytes, seed));
  log.open(file, pages, []);
  return { log, bytes };
}
