import { ask, type AskResult } from "./ask.ts";
import { build, type BuildResult } from "./build.ts";
import { churn, type ChurnResult } from "./churn.ts";
import { divide, type DivideResult } from "./divide.ts";
import { memory, type MemoryResult } from "./memory.ts";
import { walk, type WalkResult } from "./walk.ts";

/** What an index of so many ids takes: groups of 1,024 ids, 256 a commit, so 1/1,024 more keys are groups. */
export interface ScaleResult
  extends BuildResult, AskResult, ChurnResult, DivideResult, Partial<MemoryResult>, Partial<WalkResult> {
  readonly keys: number;
}

const parts = { build, ask, churn, divide, memory, walk };
export type ScalePart = keyof typeof parts;

const [part = "build", directory = "", keys = ""] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await parts[part as ScalePart](directory, Number(keys))));
