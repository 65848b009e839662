import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** The daemons of one cluster, as children of this process. */
export interface CephDaemons {
  /**
   * Starts a daemon, and starts it again if it ends: one that knocks before the monitor knows its own cluster is turned
   * away ("wrong fsid"), and gives up.
   */
  start(program: string, options: readonly string[]): void;
  /** Ends them all, at once: what they have is in memory. */
  stop(): Promise<void>;
}

export function cephDaemons(): CephDaemons {
  const running = new Set<ChildProcess>();
  let stopped = false;

  const start = (program: string, options: readonly string[]): void => {
    // The kernel ends a daemon when its parent ends, however that happens.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", program, "--foreground", ...options], { stdio: "ignore" });
    running.add(child);
    child.once("exit", () => {
      running.delete(child);
      setTimeout(() => !stopped && start(program, options), restartMs).unref();
    });
  };

  return {
    start,
    async stop() {
      stopped = true;
      for (const child of running) {
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }
    },
  };
}

const restartMs = 100;
