import { env } from "node:process";
import * as fc from "fast-check";

/** A run of the tests says the same of the same code; the soak looks at other seeds. */
const defaultSeed = 1_981_109_874;

/**
 * Asserts a law with fast-check. `PBT_SEED` and `PBT_RUNS` set seed and number of runs; a failure ends with the line that
 * runs it again.
 *
 * @param file  the test's own, `import.meta.filename`
 */
export async function holds<Ts>(
  file: string,
  property: fc.IRawProperty<Ts>,
  { runs, project = "quick" }: { readonly runs: number; readonly project?: "quick" | "ci" },
): Promise<void> {
  const seed = Number(env["PBT_SEED"] ?? defaultSeed);
  const numRuns = Number(env["PBT_RUNS"] ?? runs);
  const outcome = await fc.check(property, { seed, numRuns });
  if (!outcome.failed) return;
  const relative = file.slice(file.indexOf("test/"));
  const replay = `PBT_SEED=${seed} PBT_RUNS=${numRuns} npx vitest run --project ${project} ${relative}`;
  throw new Error(`${fc.defaultReportMessage(outcome)}\n\nReplay: ${replay}`, { cause: outcome.errorInstance });
}
