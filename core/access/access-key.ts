import type { Scope } from "./scope.ts";
import { sameHash } from "./token.ts";

/** A key as it is stored: everything but the token, of which there is only a hash. */
export interface AccessKey {
  readonly tenant: string;
  /** 12 hex digits. */
  readonly id: string;
  /** What people call it. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** See `tokenHash`. */
  readonly hash: string;
  readonly createdMs: number;
  /** From then on it opens nothing. */
  readonly expiresMs?: number | undefined;
  readonly quota: Quota;
  /** The token before the last rotation, for as long as the two overlap. */
  readonly previous?: { readonly hash: string; readonly expiresMs: number } | undefined;
}

/** What a key may use. Without a bound it may use any amount. */
export interface Quota {
  /** Requests of one minute of the clock, whatever they are answered with. */
  readonly requestsPerMinute?: number | undefined;
  /** Bytes of one UTC day: bodies of writes, and bodies of answers to reads. */
  readonly bytesPerDay?: number | undefined;
}

export type Measure = keyof Quota;

/** Whether a token with this hash is this key's, now or until the end of an overlap. Expiry of the key is asked apart. */
export function hasToken(key: AccessKey, hash: string, nowMs: number): boolean {
  const isCurrent = sameHash(key.hash, hash);
  const isPrevious = sameHash(key.previous?.hash ?? "", hash) && nowMs < (key.previous?.expiresMs ?? 0);
  return isCurrent || isPrevious;
}

export function hasExpired({ expiresMs }: AccessKey, nowMs: number): boolean {
  return expiresMs !== undefined && nowMs >= expiresMs;
}

export function oldestFirst(keys: readonly AccessKey[]): readonly AccessKey[] {
  return keys.toSorted((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1));
}
