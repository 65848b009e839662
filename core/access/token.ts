import { hex, utf8 } from "../bytes.ts";
import type { Digest } from "../ports/digest.ts";
import type { Random } from "../ports/random.ts";

/**
 * The secret that a client sends: `pl_<tenant>_<key id>_<secret>`.
 *
 * Tenant and key id can be read in it, so that one look-up finds the key; no tenant holds `_`. The secret is 256 random
 * bits as 43 characters of base64url. The fixed beginning lets scanners of source code find a token that was left there.
 */
const tokenPattern = /^pl_([a-z0-9][a-z0-9-]{0,62})_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;

const secretBytes = 32;
const idBytes = 6;

/** Which key a token belongs to, if it is genuine. */
export interface TokenNames {
  readonly tenant: string;
  readonly id: string;
}

/** @returns `undefined` for what is no token: it needs no look-up to be refused */
export function namesInToken(token: string): TokenNames | undefined {
  const [, tenant, id] = tokenPattern.exec(token) ?? [];
  return tenant === undefined || id === undefined ? undefined : { tenant, id };
}

export function newToken({ tenant, id }: TokenNames, random: Random): string {
  return `pl_${tenant}_${id}_${base64url(random.bytes(secretBytes))}`;
}

/** A key's id: 48 random bits as 12 hex digits, so that it is also a whole number below 2^48. */
export function newKeyId(random: Random): string {
  return hex(random.bytes(idBytes));
}

export function isKeyId(text: string): boolean {
  return /^[0-9a-f]{12}$/.test(text);
}

/**
 * What is stored of a token: the SHA-256 of all of it, as 64 hex digits. A fast hash is right, since nobody guesses 256
 * bits. Tenant and id are hashed too, so a record that is moved to another tenant fits no token.
 */
export function tokenHash(token: string, digest: Digest): string {
  return digest.sha256(utf8(token));
}

/** Compares in a time that does not tell where two hashes differ. */
export function sameHash(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** RFC 4648 §5, without padding. */
function base64url(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    bits = (bits << 8) | byte;
    for (held += 8; held >= 6;) {
      held -= 6;
      text += alphabet[(bits >> held) & 63];
    }
    bits &= 63;
  }
  return held === 0 ? text : text + alphabet[(bits << (6 - held)) & 63];
}
