import type { RetentionRules } from "../retention.ts";

/** How many payloads, and the sum of their lengths. */
export interface ExpiredSum {
  payloads: number;
  bytes: number;
}

/** Payloads that had expired and were not written again. */
export interface Expired extends ExpiredSum {
  /**
   * The same by what they were kept by: a retention class of their tenant; `_default`, the time of those that name none; `_own`,
   * an expiry that came with the payload. Told by how long they were kept, since that is what is stored: of classes that keep as
   * long it is the first, and what a class kept that has another time since is `_own`.
   */
  readonly byRetention: Record<string, ExpiredSum>;
}

export function noneExpired(): Expired {
  return { payloads: 0, bytes: 0, byRetention: {} };
}

/** Counts one. @param timeMs  when it was committed */
export function countExpired(
  expired: Expired,
  retention: RetentionRules,
  tenant: string,
  { bytes, expiresMs = 0 }: { readonly bytes: number; readonly expiresMs?: number | undefined },
  timeMs: number,
): void {
  const name = retention.nameOf(tenant, expiresMs - timeMs);
  addExpired(expired, { payloads: 1, bytes, byRetention: { [name]: { payloads: 1, bytes } } });
}

export function addExpired(expired: Expired, more: Readonly<Expired>): void {
  expired.payloads += more.payloads;
  expired.bytes += more.bytes;
  for (const [name, { payloads, bytes }] of Object.entries(more.byRetention)) {
    const known = expired.byRetention[name] ?? { payloads: 0, bytes: 0 };
    expired.byRetention[name] = { payloads: known.payloads + payloads, bytes: known.bytes + bytes };
  }
}
