import { several, type ChangeKind } from "./change.ts";

/** CRC-5 (x^5 + x^2 + 1) of a byte that follows a register of five bits. */
const crc5Table = Uint8Array.from({ length: 256 }, (_, index) => {
  let register = index;
  for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >>> 1) ^ 0x14 : register >>> 1;
  return register;
});

/**
 * A slot: remainder of the key, value, and a byte of kind (3 bits) and check (5 bits). docs/format.md §13.2.
 *
 * A page's checksum is verified when the page is first read; from then on a hit reads its slot alone, and the check tells
 * bits that flip later. It covers the slot, the fingerprint and the slot's number.
 */
export function writeSlot(
  page: Uint8Array,
  at: number,
  remainderBytes: number,
  remainder: number,
  kind: ChangeKind,
  value: number,
  number: number,
  fingerprint: number,
): void {
  let left = remainder;
  for (let i = 0; i < remainderBytes; i++) {
    page[at + i] = left % 256;
    left = Math.floor(left / 256);
  }
  const end = at + remainderBytes;
  page[end] = value;
  page[end + 1] = value >>> 8;
  page[end + 2] = value >>> 16;
  page[end + 3] = value >>> 24;
  page[end + 4] = kind << 5;
  page[end + 4] = (kind << 5) | slotCheck(page, at, remainderBytes, number, fingerprint);
}

export function slotRemainder(page: Uint8Array, at: number, remainderBytes: number): number {
  const low = page[at]! | (page[at + 1]! << 8) | (page[at + 2]! << 16) | (page[at + 3]! << 24);
  const high = remainderBytes === 6 ? page[at + 4]! | (page[at + 5]! << 8) : page[at + 4]!;
  return high * 0x1_0000_0000 + (low >>> 0);
}

export function slotValue(page: Uint8Array, at: number, remainderBytes: number): number {
  const from = at + remainderBytes;
  return (page[from]! | (page[from + 1]! << 8) | (page[from + 2]! << 16) | (page[from + 3]! << 24)) >>> 0;
}

/** The slot's kind, or −1 where its check differs. */
export function slotKind(
  page: Uint8Array,
  at: number,
  remainderBytes: number,
  number: number,
  fingerprint: number,
): ChangeKind | -1 {
  const last = page[at + remainderBytes + 4]!;
  const kind = last >>> 5;
  if ((last & 0x1f) !== slotCheck(page, at, remainderBytes, number, fingerprint)) return -1;
  return kind >= 1 && kind <= several ? (kind as ChangeKind) : -1;
}

function slotCheck(page: Uint8Array, at: number, remainderBytes: number, number: number, fingerprint: number): number {
  let register = crc5Table[(fingerprint ^ 0x1f) & 0xff]!;
  register = crc5Table[(number ^ register) & 0xff]!;
  register = crc5Table[((number >>> 8) ^ register) & 0xff]!;
  const end = at + remainderBytes + 4;
  for (let i = at; i < end; i++) register = crc5Table[page[i]! ^ register]!;
  return crc5Table[(page[end]! & 0xe0) ^ register]!;
}
