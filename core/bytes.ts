/** Byte strings: UTF-8, hexadecimal, comparison, little-endian views. */

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Up to so many UTF-16 units a loop is faster than a call of the encoder, which takes 90 ns for any. */
const loopUnitsMax = 48;

export const emptyBytes: Uint8Array = new Uint8Array(0);

export function utf8(text: string): Uint8Array {
  if (text.length > loopUnitsMax) return encoder.encode(text);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x80) return encoder.encode(text);
    bytes[at] = unit;
  }
  return bytes;
}

/** Writes `text` at `offset` and returns the bytes written; the caller has made room for 3 bytes a UTF-16 unit. */
export function utf8Into(text: string, target: Uint8Array, offset: number): number {
  if (text.length <= loopUnitsMax) {
    let at = 0;
    let unit = 0;
    while (at < text.length && (unit = text.charCodeAt(at)) < 0x80) target[offset + at++] = unit;
    if (at === text.length) return at;
  }
  return encoder.encodeInto(text, offset === 0 ? target : target.subarray(offset)).written;
}

/** @returns the text, or `undefined` when the bytes are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Length in UTF-8, in bytes, without encoding. Lone surrogates count as the replacement character's three. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 2;
      i += 1;
    } else bytes += 2;
  }
  return bytes;
}

const hexOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hex(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  let text = "";
  for (let i = start; i < end; i++) text += hexOfByte[bytes[i]!];
  return text;
}

/** The bytes that an even number of lower-case hex digits spell. */
export function bytesOfHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  bytesOfHexInto(text, bytes, 0);
  return bytes;
}

export function bytesOfHexInto(text: string, target: Uint8Array, offset: number): void {
  for (let i = 0; i < text.length; i += 2) target[offset + (i >> 1)] = (hexDigit(text, i) << 4) | hexDigit(text, i + 1);
}

/** Without a branch, which random digits mispredict: in ASCII, the letters alone have bit 6, and are 9 above their low bits. */
function hexDigit(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return (unit & 15) + 9 * (unit >> 6);
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The view that every format reads and writes through: little-endian, bounded to these bytes. */
export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Unsigned 64-bit as a safe integer, or `undefined` above 2^53 − 1. */
export function getUint64(data: DataView, offset: number): number | undefined {
  const high = data.getUint32(offset + 4, true);
  return high > 0x1f_ffff ? undefined : high * 0x1_0000_0000 + data.getUint32(offset, true);
}

export function setUint64(data: DataView, offset: number, value: number): void {
  data.setUint32(offset, value % 0x1_0000_0000, true);
  data.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1 && parts[0]) return parts[0];
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
