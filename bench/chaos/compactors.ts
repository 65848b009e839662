import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { CompactorMessage, CompactorTask } from "./compactor.ts";
import { type ProcessMember, Processes } from "./processes.ts";

const compactorFile = fileURLToPath(new URL("compactor.ts", import.meta.url));

/** What the line of a run's metrics has that is summed up here. */
interface RunMetrics {
  readonly CompactedGroups: number;
  readonly CompactedRows: number;
  readonly SweptRows: number;
  readonly CompactionBytesOut: number;
  readonly EmptiedSegments: number;
  readonly FreedSegments: number;
  readonly FreedBytes: number;
  readonly CompactionSkipped: number;
  readonly complete: boolean;
}

/** Processes that compact, as often as they can. Those that end are replaced. */
export class Compactors {
  readonly processes: Processes<CompactorMessage>;
  readonly broken: string[] = [];
  /** Of runs that ended; what others did before they were killed is counted nowhere. */
  readonly sums = {
    runs: 0,
    whole: 0,
    atOnce: 0,
    failed: 0,
    groups: 0,
    rowsWritten: 0,
    rowsSwept: 0,
    bytesWritten: 0,
    segmentsRewritten: 0,
    segmentsFreed: 0,
    bytesFreed: 0,
    skipped: 0,
  };

  constructor(size: number, task: (n: number) => CompactorTask) {
    this.processes = new Processes(size, (n) => fork(compactorFile, [JSON.stringify(task(n))], { execArgv: [] }), {
      hear: (member, message) => this.#hear(member, message),
    });
  }

  #hear(member: ProcessMember, message: CompactorMessage): void {
    const { sums } = this;
    if (message.kind === "began") {
      if (this.processes.members.some(({ startedMs }) => startedMs !== undefined)) sums.atOnce += 1;
      member.startedMs = performance.now();
      return;
    }
    member.startedMs = undefined;
    if (message.kind === "broken") this.broken.push(message.what);
    if (message.kind === "failed") sums.failed += 1;
    if (message.kind !== "ended" || message.line === undefined) return;
    const metrics = JSON.parse(message.line) as RunMetrics;
    sums.runs += 1;
    sums.whole += metrics.complete ? 1 : 0;
    sums.groups += metrics.CompactedGroups;
    sums.rowsWritten += metrics.CompactedRows;
    sums.rowsSwept += metrics.SweptRows;
    sums.bytesWritten += metrics.CompactionBytesOut;
    sums.segmentsRewritten += metrics.EmptiedSegments;
    sums.segmentsFreed += metrics.FreedSegments;
    sums.bytesFreed += metrics.FreedBytes;
    sums.skipped += metrics.CompactionSkipped;
  }
}
