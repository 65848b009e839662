import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";

export interface Machine {
  /** The folder of its records. */
  readonly name: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
}

export interface Version {
  /** The commit that was measured, where git knows one. */
  readonly commit: string | undefined;
  /** Whether files differed from it. */
  readonly changed: boolean;
}

export function thisMachine(): Machine {
  const cores = cpus().length;
  const cpu =
    cpus()[0]
      ?.model.replaceAll(/\((?:R|TM)\)/gi, "")
      .replaceAll(/\s+/g, " ")
      .trim() ?? "unknown";
  const platform = `${process.platform}-${process.arch}`;
  const name = `${cpu}-${cores}-cores-${platform}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return { name, cpu, cores, memoryGiB: Math.round(totalmem() / 2 ** 30), platform, node: process.version };
}

export function thisVersion(root: string): Version {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim();
    return { commit: git("rev-parse", "--short=12", "HEAD"), changed: git("status", "--porcelain") !== "" };
  } catch {
    return { commit: undefined, changed: false };
  }
}
