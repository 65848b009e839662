import { hex, utf8Length } from "./bytes.ts";
import { PayloadStoreError } from "./errors.ts";
import { limits } from "./limits.ts";

/** A payload's name inside its group: text, or 128 bits as 16 bytes (big-endian) or a bigint. 128-bit ids are kept as 32 hex digits. */
export type PayloadId = string | Uint8Array | bigint;

export interface TenantKey {
  readonly tenant: string;
}

export interface GroupKey extends TenantKey {
  readonly group: PayloadId;
}

/** Without `group` the id is its own group: a lone payload. */
export interface PayloadKey extends TenantKey {
  readonly group?: PayloadId | undefined;
  readonly id: PayloadId;
}

/** A key whose parts are checked and spelled as they are stored. */
export interface ResolvedKey {
  readonly tenant: string;
  readonly group: string;
  readonly id: string;
}

const tenantPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** @throws {PayloadStoreError} `INVALID` naming the field and the bound. There is no default tenant. */
export function resolveTenant(key: TenantKey): string {
  const tenant: unknown = (key as TenantKey | undefined)?.tenant;
  if (typeof tenant !== "string" || !tenantPattern.test(tenant)) {
    throw invalid("tenant", `tenant must match [a-z0-9][a-z0-9-]{0,62}; got ${describe(tenant)}`);
  }
  return tenant;
}

export function resolveGroup(key: GroupKey): { readonly tenant: string; readonly group: string } {
  return { tenant: resolveTenant(key), group: resolveName("group", key.group) };
}

export function resolveKey(key: PayloadKey): ResolvedKey {
  const tenant = resolveTenant(key);
  const id = resolveName("id", key.id);
  return { tenant, group: key.group === undefined ? id : resolveName("group", key.group), id };
}

/** @throws {PayloadStoreError} `INVALID` unless the name is 1–512 bytes of well-formed UTF-8 and neither `.` nor `..`. */
export function resolveName(field: "group" | "id", name: PayloadId): string {
  const text = typeof name === "string" ? name : spell128(field, name);
  if (text === "." || text === "..") {
    throw invalid(field, `${field} must not be "." or "..": URL parsers resolve them, so no face could name it`);
  }
  if (!isWellFormed(text)) throw invalid(field, `${field} holds a lone surrogate, which UTF-8 cannot spell`);
  const bytes = utf8Length(text);
  if (bytes < 1 || bytes > limits.nameBytesMax) {
    throw invalid(field, `${field} must be 1–${limits.nameBytesMax} bytes of UTF-8; got ${bytes}`);
  }
  return text;
}

/** Whether every surrogate is paired, so that UTF-8 gives the same text back. */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

function spell128(field: string, id: unknown): string {
  if (typeof id === "bigint") {
    if (id < 0n || id >= 1n << 128n) throw invalid(field, `${field} as a bigint must be in 0 … 2^128 − 1; got ${id}`);
    return id.toString(16).padStart(32, "0");
  }
  if (id instanceof Uint8Array) {
    if (id.length !== 16) throw invalid(field, `${field} as bytes must be 16 bytes; got ${id.length}`);
    return hex(id);
  }
  throw invalid(field, `${field} must be text, 16 bytes or a bigint; got ${describe(id)}`);
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  return value === undefined ? "nothing" : typeof value;
}

function invalid(field: string, message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field } });
}
