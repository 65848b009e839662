import type { Tier } from "../page/page.ts";

/** What a segment holds, as the index counts it. */
export interface SegmentUsage {
  readonly tenant: string;
  readonly segment: string;
  /** Length of the segment, in bytes. */
  readonly bytes: number;
  /** Shares of blocks of all payloads it was written with, and heads of pages that only hide, in bytes. */
  readonly stored: number;
  /** Shares of the payloads that are alive, by how long they had been there when they were compressed last. */
  readonly live: readonly [number, number, number];
  /** Of `live` what has expired, in bytes. */
  readonly expired: number;
  /** When it was begun, milliseconds since 1970. */
  readonly createdMs: number;
  /**
   * Payloads of older segments that are written again with it, in bytes, or so many at least that it does not pay: what it hides of
   * their groups is needed as long as these lie there. Told of segments of which nothing is alive; 0 by default.
   */
  readonly draggedBytes?: number | undefined;
}

/** Why a segment is compacted. */
export type PlanReason =
  /** Payloads in it have to be gone. */
  | "erasure"
  /** Nothing in it is alive. */
  | "dead"
  /** More of it is dead than {@link PlanRules.deadShareMin}. */
  | "garbage"
  /** It is one of many short ones. */
  | "small"
  /** It has reached an age at which stronger compression pays. */
  | "aged";

export interface PlannedSegment {
  readonly usage: SegmentUsage;
  readonly reason: PlanReason;
  /** How its payloads are compressed. */
  readonly tier: Tier;
}

export interface CompactionPlan {
  /** In the order in which they are compacted. */
  readonly segments: readonly PlannedSegment[];
  /**
   * Bytes of payloads that are alive in the segments, as they are stored. An estimate of what is written: stronger compression
   * makes it less, and groups that are small or reach into older segments, which are merged with it, more.
   */
  readonly rewrittenBytes: number;
  /** Bytes of the segments that are freed. */
  readonly freedBytes: number;
  /** `rewrittenBytes` for each byte that was dead; 0 where nothing is written again. */
  readonly amplification: number;
  /** Segments that would be compacted too, beyond the budget. */
  readonly postponed: number;
}

/** When compaction pays. docs/decisions/0024 says why these. */
export interface PlanRules {
  /** A segment is compacted once so much of it is dead; then at most (1 − share) / share bytes are written for one freed. */
  readonly deadShareMin: number;
  /** Segments shorter than this are joined, in bytes … */
  readonly smallBytes: number;
  /** … once a tenant has so many. */
  readonly smallCountMin: number;
  /** Ages at which payloads are compressed anew, in milliseconds. */
  readonly tierAgesMs: readonly [number, number];
}

export const planRules: PlanRules = {
  deadShareMin: 0.3,
  smallBytes: 8_388_608,
  smallCountMin: 8,
  tierAgesMs: [86_400_000, 30 * 86_400_000],
};

export interface PlanOptions {
  readonly nowMs: number;
  /** Whether a segment holds payloads that have to be gone. */
  readonly mustGo?: ((usage: SegmentUsage) => boolean) | undefined;
  /** Segments with at most so many bytes that are alive, in all; one at least. */
  readonly bytesMax?: number | undefined;
  readonly rules?: Partial<PlanRules> | undefined;
}

/**
 * Which segments are compacted, and in which order: what has to be gone first, oldest first; then what costs nothing; then
 * what frees most for what it writes. A pure function.
 */
export function planCompaction(usages: readonly SegmentUsage[], options: PlanOptions): CompactionPlan {
  const rules = { ...planRules, ...options.rules };
  const small = new Map<string, number>();
  for (const { tenant, bytes } of usages) {
    if (bytes < rules.smallBytes) small.set(tenant, (small.get(tenant) ?? 0) + 1);
  }
  const wanted = usages.flatMap((usage): PlannedSegment[] => {
    const tier = tierOf(usage.createdMs, options.nowMs, rules);
    const reason = reasonFor(usage, tier, small.get(usage.tenant) ?? 0, options, rules);
    return reason ? [{ usage, reason, tier }] : [];
  });
  wanted.sort(byUrgency);

  const segments: PlannedSegment[] = [];
  let rewrittenBytes = 0;
  let freedBytes = 0;
  let deadBytes = 0;
  for (const planned of wanted) {
    const { usage } = planned;
    const live = rewrittenWith(usage);
    // What is dead costs nothing; of the rest at least one segment is compacted, however small the budget.
    const fits = rewrittenBytes + live <= (options.bytesMax ?? Infinity) || rewrittenBytes === 0;
    if (live > 0 && !fits) continue;
    segments.push(planned);
    rewrittenBytes += live;
    freedBytes += usage.bytes;
    deadBytes += usage.stored - liveBytes(usage);
  }
  const amplification = rewrittenBytes === 0 ? 0 : rewrittenBytes / Math.max(1, deadBytes);
  return { segments, rewrittenBytes, freedBytes, amplification, postponed: wanted.length - segments.length };
}

export function liveBytes({ live: [recent, day, month], expired }: SegmentUsage): number {
  return recent + day + month - expired;
}

/** What is written again where a segment is emptied, in bytes as they are stored. */
function rewrittenWith(usage: SegmentUsage): number {
  return liveBytes(usage) + (usage.draggedBytes ?? 0);
}

/**
 * Share of what a segment was written with that is dead, and of what is written again with it. Pages that only hide count, for
 * they go with what they hide.
 */
export function deadShare(usage: SegmentUsage): number {
  const { stored, draggedBytes = 0 } = usage;
  return stored === 0 ? 0 : (stored - liveBytes(usage)) / (stored + draggedBytes);
}

/** How payloads of an age are compressed. */
export function tierOf(createdMs: number, nowMs: number, { tierAgesMs: [day, month] }: PlanRules = planRules): Tier {
  const age = nowMs - createdMs;
  return age >= month ? 2 : age >= day ? 1 : 0;
}

function reasonFor(
  usage: SegmentUsage,
  tier: Tier,
  smallOnes: number,
  { mustGo }: PlanOptions,
  rules: PlanRules,
): PlanReason | undefined {
  const live = liveBytes(usage);
  if (mustGo?.(usage)) return "erasure";
  if (rewrittenWith(usage) === 0 && usage.stored > 0) return "dead";
  if (deadShare(usage) >= rules.deadShareMin) return "garbage";
  // It would be joined with others of its kind again and again, and each time with what it hides.
  if (live === 0 && usage.stored > 0) return undefined;
  if (usage.bytes < rules.smallBytes && smallOnes >= rules.smallCountMin) return "small";
  const younger = usage.live.slice(0, tier).reduce((sum, bytes) => sum + bytes, 0);
  return younger * 2 > live ? "aged" : undefined;
}

const urgencies: readonly PlanReason[] = ["erasure", "dead", "garbage", "small", "aged"];

function byUrgency(a: PlannedSegment, b: PlannedSegment): number {
  const oldestFirst = a.usage.segment < b.usage.segment ? -1 : 1;
  if (a.reason !== b.reason) return urgencies.indexOf(a.reason) - urgencies.indexOf(b.reason);
  return a.reason === "garbage" ? deadShare(b.usage) - deadShare(a.usage) || oldestFirst : oldestFirst;
}
