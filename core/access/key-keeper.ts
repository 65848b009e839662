import { utf8Length } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { isWellFormed, resolveTenant } from "../key.ts";
import { limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { KeyList, KeyStore } from "../ports/key-store.ts";
import type { Random } from "../ports/random.ts";
import { hasExpired, type AccessKey, type Quota } from "./access-key.ts";
import { isScope, type Scope } from "./scope.ts";
import { newKeyId, newToken, tokenHash } from "./token.ts";

export interface NewKey {
  readonly tenant: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresMs?: number | undefined;
  readonly quota?: Quota | undefined;
}

/** A token is given out once, here; afterwards only its hash is known. */
export interface IssuedKey {
  readonly key: AccessKey;
  readonly token: string;
}

/** Makes, rotates and ends keys: for whoever has the folder or the table, never for a client. */
export class KeyKeeper {
  readonly #keys: KeyStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #digest: Digest;

  constructor(ports: {
    readonly keys: KeyStore;
    readonly clock: Clock;
    readonly random: Random;
    readonly digest: Digest;
  }) {
    this.#keys = ports.keys;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#digest = ports.digest;
  }

  list(tenant: string): Promise<KeyList> {
    return this.#keys.list(resolveTenant({ tenant }));
  }

  /**
   * @throws {PayloadStoreError} `INVALID` naming the field and the bound, also when the tenant has as many keys as it may;
   *   `UNAVAILABLE`, `LOCKED` from the store
   */
  async create(wanted: NewKey): Promise<IssuedKey> {
    const tenant = resolveTenant(wanted);
    const scopes = checkedScopes(wanted.scopes);
    const name = checkedName(wanted.name);
    const quota = checkedQuota(wanted.quota ?? {});
    const nowMs = this.#clock.nowMs();
    const expiresMs = wanted.expiresMs === undefined ? undefined : checkedTime("expires", wanted.expiresMs);
    if (expiresMs !== undefined && expiresMs <= nowMs) throw invalid("expires", "must be in the future");
    await this.#makeRoom(tenant, nowMs);
    const id = newKeyId(this.#random);
    const token = newToken({ tenant, id }, this.#random);
    const hash = tokenHash(token, this.#digest);
    const key = { tenant, id, name, scopes, hash, createdMs: nowMs, expiresMs, quota };
    if (await this.#keys.add(key)) return { key, token };
    throw new PayloadStoreError("CONFLICT", `there is a key ${id} of tenant ${tenant} already`);
  }

  /**
   * Gives a key a new token. The old one goes on for `overlapMs`, so that clients can be changed one by one; one from an
   * earlier rotation ends now.
   *
   * @throws {PayloadStoreError} `NOT_FOUND`; `INVALID` for a key that has expired, or a bad overlap; `CONFLICT` when
   *   somebody else changed the key
   */
  async rotate(tenant: string, id: string, overlapMs: number): Promise<IssuedKey> {
    const key = await this.#find(tenant, id);
    const nowMs = this.#clock.nowMs();
    if (hasExpired(key, nowMs)) throw invalid("id", `names key ${id}, which has expired: create another one`);
    if (!Number.isSafeInteger(overlapMs) || overlapMs < 0 || overlapMs > limits.keyOverlapMsMax) {
      throw invalid("overlap", `must be 0–${limits.keyOverlapMsMax} ms; got ${overlapMs}`);
    }
    const token = newToken(key, this.#random);
    const previous = { hash: key.hash, expiresMs: nowMs + overlapMs };
    const rotated = { ...key, hash: tokenHash(token, this.#digest), previous };
    await this.#replace(key, rotated);
    return { key: rotated, token };
  }

  /**
   * Ends a key, with all of its tokens, now or later. A time can be changed until it has come.
   *
   * @throws {PayloadStoreError} `NOT_FOUND`; `INVALID` when it has expired before; `CONFLICT` as above
   */
  async expire(tenant: string, id: string, atMs: number = this.#clock.nowMs()): Promise<AccessKey> {
    const key = await this.#find(tenant, id);
    if (hasExpired(key, this.#clock.nowMs())) throw invalid("id", `names key ${id}, which has expired already`);
    const expiring = { ...key, expiresMs: checkedTime("at", atMs) };
    await this.#replace(key, expiring);
    return expiring;
  }

  async #find(tenant: string, id: string): Promise<AccessKey> {
    const { keys, unreadable } = await this.list(tenant);
    const key = keys.find((each) => each.id === id);
    if (key !== undefined) return key;
    if (unreadable.includes(id)) throw new PayloadStoreError("CORRUPT", `the record of key ${id} cannot be read`);
    throw new PayloadStoreError("NOT_FOUND", `there is no key ${id} of tenant ${tenant}`);
  }

  async #replace(before: AccessKey, after: AccessKey): Promise<void> {
    if (await this.#keys.replace(before, after)) return;
    throw new PayloadStoreError("CONFLICT", `key ${before.id} was changed by somebody else at the same time`);
  }

  /** Forgets keys that expired long ago. @throws {PayloadStoreError} `INVALID` when the tenant has too many all the same */
  async #makeRoom(tenant: string, nowMs: number): Promise<void> {
    const { keys, unreadable } = await this.#keys.list(tenant);
    const old = keys.filter((key) => hasExpired(key, nowMs - limits.expiredKeyKeptMs));
    for (const key of old) await this.#keys.remove(key);
    if (keys.length - old.length + unreadable.length < limits.keysPerTenantMax) return;
    const bound = `${limits.keysPerTenantMax} keys, the most a tenant may have`;
    throw invalid("tenant", `has ${bound}: one that has expired is forgotten after 90 days`);
  }
}

function checkedScopes(scopes: readonly unknown[]): readonly Scope[] {
  const known = [...new Set(scopes)].filter(isScope);
  if (known.length > 0 && scopes.every(isScope)) return known;
  throw invalid("scope", "must be one or more of read, write, erase and admin");
}

function checkedName(name: string): string {
  const bytes = utf8Length(name);
  if (bytes >= 1 && bytes <= limits.keyNameBytesMax && isWellFormed(name)) return name;
  throw invalid("name", `must be 1–${limits.keyNameBytesMax} bytes of UTF-8; got ${bytes}`);
}

function checkedTime(field: string, timeMs: number): number {
  if (Number.isSafeInteger(timeMs) && timeMs >= 0) return timeMs;
  throw invalid(field, `must be a time since 1970; got ${timeMs}`);
}

function checkedQuota({ requestsPerMinute, bytesPerDay }: Quota): Quota {
  for (const [field, limit] of Object.entries({ requestsPerMinute, bytesPerDay })) {
    if (limit === undefined || (Number.isSafeInteger(limit) && limit >= 1)) continue;
    throw invalid(field, `must be a whole number from 1; got ${limit}`);
  }
  return { requestsPerMinute, bytesPerDay };
}

function invalid(field: string, message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", `${field} ${message}`, { details: { field } });
}
