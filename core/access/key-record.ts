import type { AccessKey, Quota } from "./access-key.ts";
import { isScope } from "./scope.ts";
import { isKeyId } from "./token.ts";

/** A key as JSON text; the same key has the same text, so that texts can be compared. */
export function encodeKey(key: AccessKey): string {
  const { tenant, id, name, scopes, hash, createdMs, expiresMs, quota, previous } = key;
  const { requestsPerMinute, bytesPerDay } = quota;
  return JSON.stringify({
    tenant,
    id,
    name,
    scopes,
    hash,
    createdMs,
    expiresMs,
    quota: { requestsPerMinute, bytesPerDay },
    previous: previous && { hash: previous.hash, expiresMs: previous.expiresMs },
  } satisfies AccessKey);
}

/**
 * @returns `undefined` for what is no key. A member that is not known is refused too: a newer release may have narrowed
 *   the key by it.
 */
export function decodeKey(json: unknown): AccessKey | undefined {
  const record = membersOf(json, keyMembers);
  const quota = decodeQuota(record?.["quota"]);
  if (record === undefined || quota === undefined) return undefined;
  const { tenant, id, name, scopes, hash, createdMs, expiresMs, previous } = record;
  if (typeof tenant !== "string" || typeof id !== "string" || !isKeyId(id)) return undefined;
  if (typeof name !== "string" || !Array.isArray(scopes) || !scopes.every(isScope)) return undefined;
  if (!isHash(hash) || !isNatural(createdMs) || !isNaturalOrNothing(expiresMs)) return undefined;
  const key = { tenant, id, name, scopes, hash, createdMs, expiresMs, quota };
  if (previous === undefined) return key;
  const before = membersOf(previous, previousMembers);
  if (!isHash(before?.["hash"]) || !isNatural(before["expiresMs"])) return undefined;
  return { ...key, previous: { hash: before["hash"], expiresMs: before["expiresMs"] } };
}

type MemberOfKey = keyof AccessKey;

const keyMembers: ReadonlySet<string> = new Set<MemberOfKey>([
  "tenant",
  "id",
  "name",
  "scopes",
  "hash",
  "createdMs",
  "expiresMs",
  "quota",
  "previous",
]);
const quotaMembers: ReadonlySet<string> = new Set<keyof Quota>(["requestsPerMinute", "bytesPerDay"]);
const previousMembers: ReadonlySet<string> = new Set(["hash", "expiresMs"]);

function decodeQuota(json: unknown): Quota | undefined {
  const record = membersOf(json, quotaMembers);
  if (record === undefined) return undefined;
  const { requestsPerMinute, bytesPerDay } = record;
  return isNaturalOrNothing(requestsPerMinute) && isNaturalOrNothing(bytesPerDay)
    ? { requestsPerMinute, bytesPerDay }
    : undefined;
}

function membersOf(json: unknown, known: ReadonlySet<string>): Record<string, unknown> | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  return Object.keys(json).every((name) => known.has(name)) ? (json as Record<string, unknown>) : undefined;
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function isNatural(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isNaturalOrNothing(value: unknown): value is number | undefined {
  return value === undefined || isNatural(value);
}
