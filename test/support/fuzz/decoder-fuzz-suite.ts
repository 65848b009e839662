import { describe, expect, test } from "vitest";
import { decoderTargets } from "./decoder-targets.ts";
import { fuzzDecoders } from "./decoder-fuzz.ts";

/** @param cases  to run, from `FUZZ_SEED` on; `FUZZ_CASES` sets another number */
export function describeDecoderFuzz(project: "quick" | "ci", file: string, cases: number): void {
  const firstSeed = Number(process.env["FUZZ_SEED"] ?? (project === "ci" ? 1_000_000 : 1));
  const count = Number(process.env["FUZZ_CASES"] ?? cases);

  describe(`decoders of ${count} changed golden bytes`, () => {
    test("answer a value, the damage or an error of the store, read little and make room for no more than there is", async () => {
      const { decoded, refused, violations } = await fuzzDecoders(firstSeed, count);

      const replays = violations.map(
        ({ seed, target, what }) =>
          `${target}: ${what}\nFUZZ_SEED=${seed} FUZZ_CASES=1 npx vitest run --project ${project} ${file}`,
      );
      expect(replays).toEqual([]);
      if (count < 1000) return;
      for (const target of Object.keys(decoderTargets)) {
        expect([target, decoded[target] ?? 0], "cases that were decoded").not.toEqual([target, 0]);
        expect([target, refused[target] ?? 0], "cases that were refused").not.toEqual([target, 0]);
      }
    });
  });
}
