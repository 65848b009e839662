import type { Compaction, CompactionReport, CompactOptions } from "../compaction/compaction.ts";
import { isPayloadStoreError, PayloadStoreError } from "../errors.ts";
import type { ErasedSegment, ErasureRecord, SuccessorSegment } from "./erasure.ts";
import type { Eraser } from "./eraser.ts";

/** What an erasure has to know of the segments that compaction empties. */
export interface ErasedSegments {
  /** Where each segment is now. */
  fates(): Promise<(tenant: string, segment: string) => ErasedSegment["state"]>;

  /** Ends a segment that still grows; others are left as they are. */
  seal(tenant: string, segment: string): Promise<void>;

  /** SHA-256 of a whole segment, 64 hex digits; `undefined` when it is gone. Cost: reads it once. */
  sha256(tenant: string, segment: string): Promise<string | undefined>;
}

/**
 * Compaction that sees erasures through: what they were interrupted in is taken up, the segments that hold erased payloads
 * are emptied before others, and their records say what became of them. It may end anywhere, and be run again.
 */
export class ErasingCompaction implements Compaction {
  readonly #compaction: Compaction;
  readonly #eraser: Eraser;
  readonly #segments: ErasedSegments;
  readonly #nowMs: () => number;
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(
    compaction: Compaction,
    tools: { readonly eraser: Eraser; readonly segments: ErasedSegments; readonly nowMs: () => number },
  ) {
    this.#compaction = compaction;
    this.#eraser = tools.eraser;
    this.#segments = tools.segments;
    this.#nowMs = tools.nowMs;
  }

  /** One run at a time; a second one waits. */
  run(options: CompactOptions): Promise<CompactionReport> {
    const run = this.#running.then(() => this.#run(options));
    this.#running = run.catch(() => {});
    return run;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#compaction.stop();
    await this.#running;
  }

  async #run(options: CompactOptions): Promise<CompactionReport> {
    const open = await this.#eraser.ledger.open(options.tenant);
    if (open.length === 0) return this.#compaction.run(options);
    const isDry = options.dryRun === true;
    const ready = isDry ? open : await this.#madeReady(open);
    const must = new Set(
      ready.flatMap(({ tenant, segments }) =>
        segments.filter(({ state }) => state === "held").map(({ segment }) => `${tenant}/${segment}`),
      ),
    );
    const report = await this.#compaction.run({
      ...options,
      mustGo: (usage) => must.has(`${usage.tenant}/${usage.segment}`) || options.mustGo?.(usage) === true,
    });
    if (!isDry) for (const record of ready) await this.#advance(record, report).catch(whenTakenUpElsewhere);
    return report;
  }

  /** Hides what is not hidden yet, and writes down the hashes of what has to go, while it is there. */
  async #madeReady(open: readonly ErasureRecord[]): Promise<ErasureRecord[]> {
    const ready: ErasureRecord[] = [];
    for (const known of open) {
      if (this.#stopped) throw new PayloadStoreError("CLOSED", "the store is closed");
      try {
        const record = known.state === "hiding" ? await this.#eraser.resume(known) : known;
        if (record) ready.push(await this.#hashed(record));
      } catch (error) {
        // Damage, or another process: the next run takes it up.
        if (!isPayloadStoreError(error, "CORRUPT")) whenTakenUpElsewhere(error);
      }
    }
    return ready;
  }

  async #hashed(record: ErasureRecord): Promise<ErasureRecord> {
    const { tenant } = record;
    const fateOf = await this.#segments.fates();
    const segments: ErasedSegment[] = [];
    for (const known of record.segments) {
      const { segment } = known;
      const state = fateOf(tenant, segment);
      if (state === "held") await this.#segments.seal(tenant, segment);
      const sha256 = known.sha256 ?? (await this.#segments.sha256(tenant, segment));
      segments.push({ ...known, state, sha256 });
    }
    return this.#eraser.save({ ...record, segments, state: "compacting" });
  }

  async #advance(record: ErasureRecord, report: CompactionReport): Promise<void> {
    const { tenant } = record;
    const fateOf = await this.#segments.fates();
    const segments = record.segments.map((known): ErasedSegment => {
      const state = fateOf(tenant, known.segment);
      const left = report.skipped.find(({ tenant: owner, segment }) => owner === tenant && segment === known.segment);
      const reason = state === "held" ? left?.reason : undefined;
      return { ...known, state, reason };
    });
    const names = new Set(segments.map(({ segment }) => segment));
    const written = report.segments.filter((one) => one.tenant === tenant && names.has(one.segment));
    const successors = joined(
      record.successors,
      written.flatMap(({ into }) => into ?? []),
    );
    if (segments.some(({ state }) => state !== "gone")) {
      const state = segments.some((one) => one.state === "held") ? "compacting" : "waiting";
      await this.#eraser.save({ ...record, segments, successors, state });
      return;
    }
    const hashed: SuccessorSegment[] = [];
    for (const { segment } of successors) {
      await this.#segments.seal(tenant, segment);
      hashed.push({ segment, sha256: await this.#segments.sha256(tenant, segment) });
    }
    await this.#eraser.save({ ...record, segments, successors: hashed, state: "gone", goneMs: this.#nowMs() });
  }
}

function joined(known: readonly SuccessorSegment[], names: readonly string[]): SuccessorSegment[] {
  const all = new Set([...known.map(({ segment }) => segment), ...names]);
  return [...all].map((segment) => ({ segment }));
}

/** Whoever changed the record first goes on with it. */
function whenTakenUpElsewhere(error: unknown): void {
  if (!isPayloadStoreError(error, "CONFLICT")) throw error;
}
