import { SeededRandom } from "../../bench/agent-trace-random.ts";

/** Chance as a function, 0 ≤ x < 1; the same seed gives the same numbers on every machine. */
export function seededRandom(seed: number): () => number {
  const random = new SeededRandom(seed);
  return () => random.between(0, 2 ** 32 - 1) / 2 ** 32;
}
