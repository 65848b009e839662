import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "./platform.ts";

/** What `sst deploy` would ask Pulumi's engine for. */
export interface Evaluation {
  readonly app: { readonly name: string; readonly removal: string; readonly protect: boolean; readonly home: string };
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly resources: readonly Registered[];
}

export interface Registered {
  /** As Pulumi spells it: `aws:s3/bucket:Bucket`. */
  readonly type: string;
  readonly name: string;
  /** Whether AWS keeps the resource when it is removed from the stage. */
  readonly retained: boolean;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** What a component tells SST's own process. */
  readonly told: Readonly<Record<string, unknown>>;
}

/** None of the settings, whatever the environment of the tests holds. */
const noSettings = { PAYLODE_ALARM_EMAIL: "", PAYLODE_RESERVED_CONCURRENCY: "", PAYLODE_CORS_ORIGINS: "" };

/** sst.config.ts for one stage, deployed or in `sst dev`. Two seconds; the platform must be unpacked. */
export async function evaluate(
  stage: string,
  { dev = false, environment = {} }: { dev?: boolean; environment?: NodeJS.ProcessEnv } = {},
): Promise<Evaluation> {
  const folder = await mkdtemp(path.join(tmpdir(), "paylode-infra-"));
  try {
    const output = path.join(folder, "evaluation.json");
    const script = path.join(import.meta.dirname, "evaluate.ts");
    const args = [script, output, stage, ...(dev ? ["--dev"] : [])];
    await run(process.execPath, args, { ...noSettings, ...environment });
    return JSON.parse(await readFile(output, "utf8")) as Evaluation;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
