import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";

const program = path.resolve(import.meta.dirname, "../../cli/main.ts");

export interface Ended {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Starts the command line as a shell would, with a clean environment. */
export function start(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const { PATH = "", NODE_COMPILE_CACHE = "" } = process.env;
  return spawn(process.execPath, [program, ...args], { env: { PATH, NODE_COMPILE_CACHE, ...env }, stdio: "pipe" });
}

export async function run(args: readonly string[], input: string | Uint8Array = "", env = {}): Promise<Ended> {
  const child = start(args, env);
  child.stdin?.on("error", () => {}).end(input);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: await stdout, stderr: String(await stderr) };
}

export async function collect(stream: AsyncIterable<Uint8Array> | null): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream ?? []) pieces.push(piece);
  return Buffer.concat(pieces);
}
