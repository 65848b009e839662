import process from "node:process";
import { SingleBar } from "cli-progress";

/** How far long work has come: a bar on a terminal, nothing in a pipe. */
export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

const ends = ["SIGINT", "SIGTERM"] as const;

/** @param unit  what is counted, as it stands behind the numbers */
export function progressBar(label: string, unit: string): Progress {
  const bar = new SingleBar({
    stream: process.stderr,
    format: `${label} {bar} {percentage} % of {total} ${unit}, {eta_formatted} left`,
    clearOnComplete: true,
    hideCursor: true,
  });
  let started = false;
  // Ctrl-C ends the command as it would without a bar, but for the cursor, which it would leave hidden.
  const interrupted = (signal: NodeJS.Signals) => {
    stop();
    process.kill(process.pid, signal);
  };
  const stop = () => {
    if (!started) return;
    for (const signal of ends) process.off(signal, interrupted);
    bar.stop();
  };
  return {
    update(done, total) {
      if (!process.stderr.isTTY || total === 0) return;
      if (!started) {
        for (const signal of ends) process.once(signal, interrupted);
        bar.start(total, done);
      } else {
        bar.setTotal(total);
        bar.update(done);
      }
      started = true;
    },
    stop,
  };
}
