import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { build } from "esbuild";
import type { FunctionUrlEvent } from "../../../functions/lambda-runtime.ts";
import { type Built, buildApi } from "../../../infra/build-api.ts";
import { type LambdaAnswer, startRuntimeApi } from "./runtime-api.ts";

/** One process of a function, as Lambda starts and ends it. */
export interface Sandbox {
  /** Resolves when it is ready for its first invocation. */
  readonly started: Promise<void>;
  /** Invokes it; what it still does goes first. `timeoutMs`: after which Lambda would end the process; 30,000 by default. */
  invoke(event: FunctionUrlEvent, options?: { readonly timeoutMs?: number }): Promise<LambdaAnswer>;
  /** Lines that it has written so far, those of its console as JSON. */
  readonly log: readonly string[];
  readonly pid: number;
  /** Stops it where it stands, as Lambda does between invocations, and lets it go on. */
  freeze(): void;
  thaw(): void;
  /** Ends it at once. */
  kill(): Promise<void>;
}

export interface SandboxOptions {
  /** What {@link buildTask} has made. */
  readonly taskRoot: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Bundles a handler as it is deployed, and the runtime beside it, so that no process spends its start on compiling that. */
export async function buildTask(taskRoot: string, entry?: string): Promise<Built> {
  await build({
    entryPoints: [path.join(import.meta.dirname, "bootstrap.ts")],
    outfile: path.join(taskRoot, "bootstrap.mjs"),
    platform: "node",
    format: "esm",
  });
  return buildApi(taskRoot, entry);
}

/** Starts a process that runs a bundle as Lambda's Node runtime does. */
export async function startSandbox({ taskRoot, environment }: SandboxOptions): Promise<Sandbox> {
  const api = await startRuntimeApi();
  const log: string[] = [];
  const child = spawn(process.execPath, [path.join(taskRoot, "bootstrap.mjs")], {
    cwd: taskRoot,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      AWS_LAMBDA_RUNTIME_API: api.address,
      AWS_LAMBDA_FUNCTION_NAME: "api",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1024",
      AWS_REGION: "us-east-1",
      LAMBDA_TASK_ROOT: taskRoot,
      _HANDLER: "bundle.handler",
      TZ: ":UTC",
      ...environment,
    },
  });
  for (const output of [child.stdout, child.stderr]) {
    let rest = "";
    output.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      log.push(...lines);
    });
  }
  const exited = once(child, "exit").then(() => {
    api.abandon(new Error(`the process ended (${child.exitCode ?? child.signalCode}): ${log.slice(-5).join("\n")}`));
    return api.close();
  });
  return {
    started: api.started,
    invoke: (event, { timeoutMs = 30_000 } = {}) => api.invoke(event, Date.now() + timeoutMs),
    log,
    pid: child.pid ?? 0,
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
