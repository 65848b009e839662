import { setTimeout as sleep } from "node:timers/promises";
import type { CompactionReport, CompactOptions } from "../core/compaction/compaction.ts";
import { isPayloadStoreError } from "../core/errors.ts";

/** What is compacted. */
export interface Compactable {
  compact(options: CompactOptions): Promise<CompactionReport>;
}

export interface BackgroundOptions {
  /** From the end of one run to the beginning of the next, in milliseconds. */
  readonly everyMs: number;
  /** How long what was rewritten is kept for who still reads it, in milliseconds; 5 minutes by default. */
  readonly graceMs?: number | undefined;
  readonly onRun?: ((report: CompactionReport) => void) | undefined;
  /** A run that failed is tried again at its time. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/** A run ends after so many milliseconds; what is left is done by the next. */
const runMsMax = 60_000;

/** Compacts a store again and again, beside its work, until it is stopped. */
export class BackgroundCompaction {
  readonly #store: Compactable;
  readonly #options: BackgroundOptions;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #resumed: PromiseWithResolvers<void> | undefined;

  constructor(store: Compactable, options: BackgroundOptions) {
    this.#store = store;
    this.#options = options;
    this.#ended = this.#go();
  }

  /** Begins no further run until {@link resume}; one that is under way ends as it would. */
  pause(): void {
    this.#resumed ??= Promise.withResolvers();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  /** Ends the run that is under way, and begins no other. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.resume();
    await this.#ended;
  }

  async #go(): Promise<void> {
    const { everyMs, graceMs, onRun, onFailure } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => {});
      await this.#resumed?.promise;
      if (signal.aborted) return;
      try {
        onRun?.(await this.#store.compact({ signal, timeMsMax: runMsMax, graceMs }));
      } catch (error) {
        if (!isPayloadStoreError(error, "ABORTED") && !isPayloadStoreError(error, "CLOSED")) onFailure?.(error);
      }
    }
  }
}
