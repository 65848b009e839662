import { performance } from "node:perf_hooks";
import { setImmediate, setTimeout as wait } from "node:timers/promises";
import type { CommitLanes } from "../commit-lanes.ts";
import type { Pace } from "../compaction/local-compaction.ts";
import { isInTime, type RestRules, restRules } from "../compaction/rest-rules.ts";

/**
 * How long a step lets callers' commits go first, in milliseconds. Those that the disk acknowledges at once are done by then; where it
 * does not, or there is always one, a step goes between them.
 */
const callersFirstMs = 1;

/** Callers are taken to be there for so long after they brought a commit, in milliseconds. */
const callersStayMs = 100;

/** Work in the thread pool is followed by a rest of so many times its length … */
const restsOfPoolWork = 4;

/** … but at most so long, in milliseconds: where the machine is full, work takes long for reasons that a rest does not mend. */
const poolRestMsMax = 500;

/**
 * Gives the steps of compaction their turns. One goes on alone in a turn of the event loop, so that many together hold it up no longer
 * than one, and not while a caller waits for a commit. Beside callers it rests between two steps, as long as it is in time, and a block in the
 * pool is a step too: one on this thread and one there take both cores of a small machine, and a sync that has ended waits until one
 * of them is free.
 */
export class BesideCallers implements Pace {
  readonly #lanes: Pick<CommitLanes, "callsBegun" | "callsEnded">;
  #rules: RestRules = restRules;
  #startMs = 0;
  #share = 0;
  readonly #turns = queue();
  readonly #pool = queue();
  /** Commits that callers had brought when that was asked last, and when there were new ones. */
  #begun = 0;
  #seenMs = -Infinity;

  constructor(lanes: Pick<CommitLanes, "callsBegun" | "callsEnded">) {
    this.#lanes = lanes;
  }

  begin(rules: RestRules): void {
    this.#rules = rules;
    this.#startMs = performance.now();
    this.#share = 0;
    this.#begun = this.#lanes.callsBegun;
    this.#seenMs = -Infinity;
  }

  reached(share: number): void {
    this.#share = share;
  }

  /** Resolves when the next step may be taken. */
  turn(): Promise<void> {
    return this.#turns(async () => {
      await this.#callersFirst();
      if (this.#restsNow()) {
        await wait(this.#rules.restMs);
        await this.#callersFirst();
      }
      await setImmediate();
    });
  }

  /** Does work of the thread pool: one at a time, so that the pool has room for the syncs of others. */
  inPool<T>(work: () => Promise<T>): Promise<T> {
    return this.#pool(async () => {
      if (!this.#restsNow()) return work();
      return this.#turns(async () => {
        await this.#callersFirst();
        const startMs = performance.now();
        const done = await work();
        await wait(Math.min(restsOfPoolWork * (performance.now() - startMs), poolRestMsMax));
        return done;
      });
    });
  }

  async #callersFirst(): Promise<void> {
    const ended = this.#lanes.callsEnded();
    if (ended) await Promise.race([ended, wait(callersFirstMs)]);
  }

  /** Whether callers bring commits these days, and it rests beside them. */
  #restsNow(): boolean {
    const { restMs, spreadMs } = this.#rules;
    if (restMs === 0) return false;
    const { callsBegun } = this.#lanes;
    const nowMs = performance.now();
    if (callsBegun !== this.#begun) this.#seenMs = nowMs;
    this.#begun = callsBegun;
    return nowMs - this.#seenMs < callersStayMs && isInTime(this.#share, nowMs - this.#startMs, spreadMs);
  }
}

/** Runs one after the other. */
function queue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}
