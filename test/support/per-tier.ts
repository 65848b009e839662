import { env } from "node:process";

/**
 * How many cases of many alike there are, or how many steps from one to the next: the long tests do all of them, and a sample is
 * enough where every save waits for it. A file that asks has a twin `*.ci.test.ts` that imports it.
 */
export function perTier<T>(quick: T, long: T): T {
  // vitest.config.ts sets it.
  return env["PAYLODE_TEST_TIER"] === "long" ? long : quick;
}
