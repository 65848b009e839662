import { PayloadStoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { UsageLedger } from "../ports/usage-ledger.ts";
import type { AccessKey, Measure } from "./access-key.ts";
import { windowMs } from "./quota-window.ts";

/** What this process may spend of one window of one key without asking. */
interface Lease {
  window: number;
  /** When the window ends, by this process's clock. */
  endsMs: number;
  /** Granted, and not spent. */
  left: number;
  /** Spent here in this window. */
  spent: number;
  /** The ledger has no more of this window. */
  isLast: boolean;
  /** Units that calls wait for. */
  wanted: number;
  taking: Promise<void> | undefined;
}

/**
 * Holds keys to their quotas, together with every other process that shares the ledger.
 *
 * It takes slices of a window from the ledger and spends them here. A slice is as much as was spent in the window so far,
 * within bounds: a busy process asks seldom, and one with a request now and then holds little that others miss. What is
 * left of a slice at the end of its window, or of its process, is lost: at most as much as the process has spent in that
 * window and no more than an eighth of the quota, or else the first slice, a 64th.
 */
export class QuotaMeter {
  readonly #ledger: UsageLedger;
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #leases = new Map<string, Lease>();
  /** How far the ledger's time is ahead of this clock. */
  #aheadMs = 0;

  constructor(ports: { readonly ledger: UsageLedger; readonly clock: Clock }) {
    this.#ledger = ports.ledger;
    this.#clock = ports.clock;
  }

  /**
   * Spends some of a key's quota. 0 units ask whether any are left.
   *
   * @throws {PayloadStoreError} `QUOTA_EXCEEDED` when so much is not left, and spends nothing; `details.retryAfterSeconds`
   *   says when the next window begins. `UNAVAILABLE` when the ledger does not answer.
   * @returns gives units back that were not used after all
   *
   * Cost: nothing while the lease lasts, and nothing once the window is used up; else one take from the ledger, which
   *   all who wait for it share.
   */
  async spend(key: AccessKey, measure: Measure, units: number): Promise<(units: number) => void> {
    const limit = key.quota[measure];
    if (limit === undefined) return () => {};
    const lease = this.#leaseOf(key, measure);
    const wanted = Math.max(units, 1);
    lease.wanted += wanted;
    try {
      for (let attempt = 0; attempt < limits.commitAttemptsMax; attempt++) {
        this.#dropIfOver(lease, measure);
        if (lease.left >= wanted) {
          // In the same turn as the look, or two calls would spend the same units.
          return spendFrom(lease, units);
        }
        if (lease.isLast || wanted > limit) throw this.#exceeded(key, measure, wanted);
        await (lease.taking ??= this.#take(lease, key, measure, limit).finally(() => (lease.taking = undefined)));
      }
    } finally {
      lease.wanted -= wanted;
    }
    throw new PayloadStoreError("UNAVAILABLE", `the use of key ${key.id} could not be counted: too many at once`);
  }

  async #take(lease: Lease, { tenant, id }: AccessKey, measure: Measure, limit: number): Promise<void> {
    const units = Math.min(limit, Math.max(sliceOf(lease, measure, limit), lease.wanted - lease.left));
    const askedMs = this.#clock.nowMs();
    const grant = await this.#ledger.take({ tenant, id, measure, limit, units, nowMs: askedMs + this.#aheadMs });
    // Measured from the question, so that a slow answer ends the lease too early and not too late.
    this.#aheadMs = grant.nowMs - askedMs;
    if (grant.window !== lease.window) Object.assign(lease, { window: grant.window, left: 0, spent: 0 });
    lease.endsMs = (grant.window + 1) * windowMs[measure] - this.#aheadMs;
    lease.left += grant.units;
    lease.isLast = grant.units < units;
  }

  /** A window that seems to be longer than it is shows a clock that was set back: the ledger is asked what time it is. */
  #dropIfOver(lease: Lease, measure: Measure): void {
    const leftMs = lease.endsMs - this.#clock.nowMs();
    if (leftMs <= 0 || leftMs > windowMs[measure]) Object.assign(lease, { left: 0, spent: 0, isLast: false });
  }

  #leaseOf({ tenant, id }: AccessKey, measure: Measure): Lease {
    const name = `${tenant}/${id}/${measure}`;
    const known = this.#leases.get(name);
    if (known !== undefined) return known;
    const lease = { window: -1, endsMs: 0, left: 0, spent: 0, isLast: false, wanted: 0, taking: undefined };
    this.#leases.set(name, lease);
    if (this.#leases.size > limits.quotaLeasesMax) this.#leases.delete(this.#leases.keys().next().value ?? "");
    return lease;
  }

  #exceeded(key: AccessKey, measure: Measure, wanted: number): PayloadStoreError {
    const passedMs = (this.#clock.nowMs() + this.#aheadMs) % windowMs[measure];
    const retryAfterSeconds = Math.ceil((windowMs[measure] - passedMs) / 1_000);
    const limit = key.quota[measure] ?? 0;
    const { unit, period } = words[measure];
    const message = `key ${key.id} may use ${limit} ${unit} a ${period}, of which ${wanted} are not left; the next ${period} begins in ${retryAfterSeconds} s`;
    return new PayloadStoreError("QUOTA_EXCEEDED", message, { details: { quota: measure, limit, retryAfterSeconds } });
  }
}

const words: Readonly<Record<Measure, { readonly unit: string; readonly period: string }>> = {
  requestsPerMinute: { unit: "requests", period: "minute" },
  bytesPerDay: { unit: "bytes", period: "day" },
};

/** @returns gives units back, unless their window is over */
function spendFrom(lease: Lease, units: number): (unused: number) => void {
  const { window } = lease;
  lease.left -= units;
  lease.spent += units;
  return (unused) => {
    if (lease.window === window) spendFrom(lease, -unused);
  };
}

function sliceOf({ spent }: Lease, measure: Measure, limit: number): number {
  const { first, most } = slices[measure];
  return Math.max(Math.min(first, Math.ceil(limit / 64)), Math.min(spent, most, Math.ceil(limit / 8)));
}

const slices: Readonly<Record<Measure, { readonly first: number; readonly most: number }>> = {
  requestsPerMinute: { first: limits.requestSliceFirst, most: limits.requestSliceMax },
  bytesPerDay: { first: limits.byteSliceFirst, most: limits.byteSliceMax },
};
