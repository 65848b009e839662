import { bytesOfHexInto, emptyBytes, hex, utf8Length, utf8Into, utf8Text } from "./bytes.ts";
import { invariant } from "./invariant.ts";

/** UTF-16 units whose UTF-8, at most three times as long, has a length of one byte. */
const textUnitsOfOneByte = 42;

/** Writes variable-length integers and strings one after the other into a buffer that grows. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  uint8(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  /** Unsigned LEB128, up to 2^53 − 1: 7 bits a byte, lowest first. */
  varint(value: number): void {
    if (value >= 0 && value < 0x80 && Number.isInteger(value)) {
      this.uint8(value);
      return;
    }
    if (!Number.isSafeInteger(value) || value < 0) invariant(false, `varint ${value}`);
    this.#room(8);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** The bytes that lower-case hex digits spell. */
  hex(digits: string): void {
    const length = digits.length / 2;
    this.#room(length);
    bytesOfHexInto(digits, this.#bytes, this.#length);
    this.#length += length;
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Length as a varint, then UTF-8. */
  text(text: string): void {
    if (text.length <= textUnitsOfOneByte) {
      this.#room(1 + 3 * text.length);
      const written = utf8Into(text, this.#bytes, this.#length + 1);
      this.#bytes[this.#length] = written;
      this.#length += 1 + written;
      return;
    }
    const length = utf8Length(text);
    this.varint(length);
    this.#room(length);
    this.#length += utf8Into(text, this.#bytes, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written so far, without a copy; valid until the next write. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(length: number): void {
    const needed = this.#length + length;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * Reads foreign bytes. A read past the end or of a malformed value makes the reader `failed` for good and answers zero or
 * nothing, so a decoder checks once, where it is about to trust what it read.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset: number;
  #failed = false;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Goes back to where it stood. */
  seek(offset: number): void {
    this.#offset = offset;
  }

  get failed(): boolean {
    return this.#failed;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  fail(): void {
    this.#failed = true;
    this.#offset = this.#bytes.length;
  }

  uint8(): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) {
      this.fail();
      return 0;
    }
    this.#offset += 1;
    return value;
  }

  varint(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.#bytes[this.#offset + i];
      if (byte === undefined) break;
      value |= (byte & 0x7f) << (7 * i);
      if (byte >= 0x80) continue;
      if (byte === 0 && i > 0) break;
      this.#offset += i + 1;
      return value;
    }
    return this.#longVarint();
  }

  /** Of more than four bytes, or malformed. */
  #longVarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.uint8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && i > 0) break;
        if (value > Number.MAX_SAFE_INTEGER) break;
        return this.#failed ? 0 : value;
      }
      scale *= 0x80;
    }
    this.fail();
    return 0;
  }

  /** A varint that counts things of at least `itemBytes` bytes each, so it cannot exceed what is left. */
  count(max: number, itemBytes = 1): number {
    const value = this.varint();
    if (value <= max && value * itemBytes <= this.remaining) return value;
    this.fail();
    return 0;
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    if (length > this.remaining) {
      this.fail();
      return emptyBytes;
    }
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  /** Bytes as lower-case hex digits. */
  hex(length: number): string {
    this.skip(length);
    return this.#failed ? "" : hex(this.#bytes, this.#offset - length, this.#offset);
  }

  skip(length: number): void {
    if (length > this.remaining) this.fail();
    else this.#offset += length;
  }

  /** Skips `length` bytes; tells whether they are the expected ones. */
  skipIfEqual(length: number, expected: Uint8Array): boolean {
    const start = this.#offset;
    this.skip(length);
    if (length !== expected.length || this.#failed) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[start + i] !== expected[i]) return false;
    return true;
  }

  text(bytesMax: number): string {
    const length = this.varint();
    if (length > bytesMax) this.fail();
    const text = utf8Text(this.bytes(this.#failed ? 0 : length));
    if (text !== undefined) return text;
    this.fail();
    return "";
  }
}
