import process from "node:process";
import { SingleBar } from "cli-progress";

/** How far long work has come: a bar on a terminal, nothing in a pipe. */
export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

/** @param unit  what is counted, as it stands behind the numbers */
export function progressBar(label: string, unit: string): Progress {
  const bar = new SingleBar({
    stream: process.stderr,
    format: `${label} {bar} {percentage} % of {total} ${unit}, {eta_formatted} left`,
    clearOnComplete: true,
    hideCursor: true,
  });
  let started = false;
  return {
    update(done, total) {
      if (!process.stderr.isTTY || total === 0) return;
      if (!started) bar.start(total, done);
      else {
        bar.setTotal(total);
        bar.update(done);
      }
      started = true;
    },
    stop() {
      if (started) bar.stop();
    },
  };
}
