import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

export const root = path.resolve(import.meta.dirname, "../../..");

/** Where SST unpacks its components; git ignores it. */
export const platform = path.join(root, ".sst/platform");

/**
 * Unpacks SST's components and Pulumi's provider for AWS, unless this version of them is there: 320 MB, half a minute.
 *
 * `sst install` would fetch Bun and Pulumi's engine from their own sites. Nothing here needs the engine, and npm does
 * Bun's part, so that a package registry is all that is asked.
 */
export async function unpackPlatform(): Promise<void> {
  const installed = path.join(root, "node_modules/sst/package.json");
  const { version } = JSON.parse(await readFile(installed, "utf8")) as { version: string };
  const complete = existsSync(path.join(platform, "node_modules/@pulumi/aws"));
  const unpacked = path.join(platform, "version");
  if (complete && existsSync(unpacked) && (await readFile(unpacked, "utf8")).trim() === version) return;

  const home = await mkdtemp(path.join(tmpdir(), "paylode-sst-"));
  try {
    await run(tool("sst"), ["install", "--stage", "test"], {
      SST_NO_BUN: "1",
      SST_SKIP_DEPENDENCY_CHECK: "1",
      SST_TELEMETRY_DISABLED: "1",
      AWS_EC2_METADATA_DISABLED: "true",
      XDG_CONFIG_HOME: home,
    });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** A program that npm has installed. */
export function tool(name: string): string {
  return path.join(root, "node_modules/.bin", name);
}

/** What a program printed. Rejects with all that it printed when it fails. */
export function run(file: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<string> {
  // Before the path, so that programs that are started by a program find the same Node.
  const bin = path.join(root, "node_modules/.bin");
  const env = { ...process.env, ...environment, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(file, args, { cwd: root, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
    if (error === null) resolve(stdout);
    else reject(new Error(`${path.basename(file)} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error }));
  });
  return promise;
}
