import { describe, expect, test } from "vitest";
import { batchPayloads, picks, Work } from "../../bench/work.ts";

const corpus = {
  source: "two texts",
  texts: ['{"trace_id":"00112233445566778899aabbccddeeff","text":"grüß dich"}', "no id in it"],
};

describe("the work of the benchmarks", () => {
  test("gives the same payload for the same number, whichever was asked before", () => {
    const [one, other] = [new Work(1000, corpus), new Work(1000, corpus)];
    other.bytes(7);

    expect(other.batch(3)).toEqual(one.batch(3));
    expect(other.item(999)).toEqual(one.item(999));
  });

  test("begins with the corpus as it is, and names new traces each time it goes through it", () => {
    const work = new Work(1000, corpus);
    const texts = Array.from({ length: 100 }, (_, i) => Buffer.from(work.bytes(2 * i)).toString());

    expect(texts[0]).toBe(corpus.texts[0]);
    expect(new Set(texts).size).toBe(100);
    for (const text of texts) expect(text).toMatch(/^\{"trace_id":"[0-9a-f]{32}","text":"grüß dich"\}$/);
  });

  test("knows its own length, and ends in a batch that may be shorter", () => {
    const work = new Work(2 * batchPayloads + 1, corpus);
    const items = Array.from({ length: work.batches }, (_, b) => work.batch(b).items).flat();

    expect(items.map(({ id }) => id)).toHaveLength(2 * batchPayloads + 1);
    expect(work.rawBytes()).toBe(items.reduce((sum, { bytes }) => sum + bytes.length, 0));
  });

  test("stores no name twice, and never one that is asked for as absent", () => {
    const work = new Work(50_000, corpus);
    const ids = Array.from({ length: work.payloads }, (_, i) => [work.key(i).id, work.absentKey(i).id]).flat();

    expect(new Set(ids).size).toBe(2 * work.payloads);
  });

  test("picks the same numbers each time, all of them in range", () => {
    const picked = [...picks(1, 1000, 77)];

    expect([...picks(1, 1000, 77)]).toEqual(picked);
    expect(Math.min(...picked)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...picked)).toBeLessThan(77);
    expect([...picks(2, 1000, 77)]).not.toEqual(picked);
  });
});
