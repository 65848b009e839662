import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";

const program = path.resolve(import.meta.dirname, "../../cli/main.ts");

/** What Node compiled for one command, the next one need not compile again: three times as fast. */
const compiled = mkdtempSync(path.join(tmpdir(), "paylode-compiled-"));
afterAll(() => rmSync(compiled, { recursive: true, force: true }));

export interface Ended {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Starts the command line as a shell would, with a clean environment. */
export function start(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const settings = { PATH: process.env["PATH"] ?? "", NODE_COMPILE_CACHE: compiled, ...env };
  return spawn(process.execPath, [program, ...args], { env: settings, stdio: "pipe" });
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
