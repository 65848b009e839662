import { windowAt, windowMs } from "../../access/quota-window.ts";
import type { UsageClaim, UsageGrant, UsageLedger } from "../../ports/usage-ledger.ts";

interface Count {
  readonly window: number;
  readonly units: number;
}

/**
 * Counts for one process, by its clock. A restart forgets what was used. Memory: an entry for each key with a quota that was
 * used.
 */
export class MemoryUsageLedger implements UsageLedger {
  readonly #counts = new Map<string, Count>();

  async take({ tenant, id, measure, limit, units, nowMs }: UsageClaim): Promise<UsageGrant> {
    const name = `${tenant}/${id}/${measure}`;
    const counted = this.#counts.get(name);
    const window = Math.max(windowAt(measure, nowMs), counted?.window ?? 0);
    const used = counted?.window === window ? counted.units : 0;
    const granted = Math.max(0, Math.min(units, limit - used));
    this.#counts.set(name, { window, units: used + granted });
    // A clock that was set back goes on in the newest window.
    return { window, units: granted, nowMs: Math.max(nowMs, window * windowMs[measure]) };
  }
}
