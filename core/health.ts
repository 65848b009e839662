import type { SegmentDamage } from "./segment/scan.ts";
import type { StorageStats } from "./storage.ts";
import type { FaultKind } from "./verify/report.ts";

/** What is dead is worth telling from this share on … */
export const deadShareMax = 0.3;
/** … until it is below this one, so that a store at the edge does not tell one thing and then another … */
const deadShareCalm = 0.25;
/** … and where it is this much at least, in bytes: a small store is not worth compacting. */
export const deadBytesMin = 1_048_576;

export interface Health {
  /** Whether the store takes writes. */
  readonly ok: boolean;
  readonly reason?: string;
  /** What an operator should look at although everything is served that can be. Names no tenant, and nothing of theirs. */
  readonly degraded: readonly string[];
}

/** Judges a store that works. Keeps what it said of the share that is dead. */
export class HealthWatch {
  #isFull = false;
  /** Of the last verification. */
  #counts: Readonly<Partial<Record<FaultKind, number>>> = {};

  verified(counts: Readonly<Record<FaultKind, number>>): void {
    this.#counts = counts;
  }

  degraded(storage: Pick<StorageStats, "deadShare" | "deadBytes">, damage: readonly SegmentDamage[]): string[] {
    const { deadShare, deadBytes } = storage;
    const most = this.#isFull ? deadShareCalm : deadShareMax;
    this.#isFull = deadShare > most && deadBytes >= deadBytesMin;
    const reasons: string[] = [];
    if (this.#isFull)
      reasons.push(`${Math.round(100 * deadShare)} % of what is stored is dead: compaction gives it back`);
    const lost = damage.filter(({ frames }) => frames !== 0).length;
    if (lost > 0) reasons.push(`${lost} damaged places may have held pages: \`paylode verify\` lists them`);
    const found = Object.entries(this.#counts).filter(([, count]) => count > 0);
    if (found.length > 0)
      reasons.push(`the last verification found ${found.map(([kind, count]) => `${count} ${kind}`).join(", ")}`);
    return reasons;
  }
}
