import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { MergeRoom } from "../../core/compaction/merge-room.ts";

test("room for merges is never exceeded, but by one that is longer than all of it, which has it alone; who comes first goes first", async () => {
  const room = new MergeRoom(100);
  let [taken, mostTaken] = [0, 0];
  const begun: number[] = [];
  const failures: string[] = [];
  const work = (bytes: number) =>
    room.within(bytes, async () => {
      begun.push(bytes);
      expect(taken === 0 || bytes === 0 || taken + bytes <= 100, `${bytes} beside ${taken}`).toBe(true);
      taken += bytes;
      mostTaken = Math.max(mostTaken, taken);
      await setImmediate();
      taken -= bytes;
      if (bytes === 40) throw new Error("it failed");
    });
  const asked = [60, 30, 40, 10, 500, 0, 70, 30, 30];
  await Promise.all(asked.map((bytes) => work(bytes).catch(({ message }: Error) => failures.push(message))));

  expect(begun).toEqual(asked);
  expect(failures).toEqual(["it failed"]);
  expect([taken, mostTaken]).toEqual([0, 500]);
});
