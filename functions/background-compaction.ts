import { setTimeout as sleep } from "node:timers/promises";
import type { CompactionReport, CompactOptions } from "../core/compaction/compaction.ts";
import { isPayloadStoreError } from "../core/errors.ts";
import type { CompactionControl, CompactionState } from "./routes/route.ts";

/** What is compacted. */
export interface Compactable {
  compact(options: CompactOptions): Promise<CompactionReport>;
}

export interface BackgroundOptions {
  /**
   * From the end of one run to the beginning of the next, in milliseconds; 0 for runs that are asked for alone. A run that did
   * something, and whose time was over before all was done, is followed by the next at once.
   */
  readonly everyMs: number;
  /** How long what was rewritten is kept for who still reads it, in milliseconds; 5 minutes by default. */
  readonly graceMs?: number | undefined;
  readonly onRun?: ((report: CompactionReport) => void) | undefined;
  /** A run that failed is tried again at its time. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/** A run ends after so many milliseconds; what is left is done by the next. */
const runMsMax = 60_000;

/** Compacts a store again and again, beside its work, until it is stopped; and whenever it is asked to. */
export class BackgroundCompaction implements CompactionControl {
  readonly #store: Compactable;
  readonly #options: BackgroundOptions;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  readonly #runs = new Set<Promise<unknown>>();
  #resumed: PromiseWithResolvers<void> | undefined;

  constructor(store: Compactable, options: BackgroundOptions) {
    this.#store = store;
    this.#options = options;
    this.#ended = options.everyMs > 0 ? this.#go(options.everyMs) : Promise.resolve();
  }

  get state(): CompactionState {
    const { everyMs } = this.#options;
    return { paused: this.#resumed !== undefined, running: this.#runs.size > 0, everySeconds: everyMs / 1_000 };
  }

  /** Begins no further run by itself until {@link resume}; one that is under way ends as it would. */
  pause(): void {
    this.#resumed ??= Promise.withResolvers();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  /**
   * A run now, also while it is paused; after the one that is under way.
   * @throws {PayloadStoreError} what the run failed with; `ABORTED` or `CLOSED` when the server is stopping
   */
  now({ graceMs = this.#options.graceMs }: { readonly graceMs?: number | undefined } = {}): Promise<CompactionReport> {
    const run = this.#run(graceMs);
    this.#runs.add(run);
    const over = () => void this.#runs.delete(run);
    run.then(over, over);
    return run;
  }

  /** Ends the run that is under way, and begins no other. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.resume();
    await Promise.allSettled([this.#ended, ...this.#runs]);
  }

  async #run(graceMs: number | undefined): Promise<CompactionReport> {
    const { signal } = this.#stopping;
    const report = await this.#store.compact({ signal, timeMsMax: runMsMax, graceMs });
    this.#options.onRun?.(report);
    return report;
  }

  async #go(everyMs: number): Promise<void> {
    const { signal } = this.#stopping;
    let goesOn = false;
    for (;;) {
      await sleep(goesOn ? 0 : everyMs, undefined, { signal, ref: false }).catch(() => {});
      await this.#resumed?.promise;
      if (signal.aborted) return;
      goesOn = false;
      try {
        const { complete, segments } = await this.now();
        goesOn = !complete && segments.length > 0;
      } catch (error) {
        const isOver = isPayloadStoreError(error, "ABORTED") || isPayloadStoreError(error, "CLOSED");
        if (!isOver) this.#options.onFailure?.(error);
      }
    }
  }
}
