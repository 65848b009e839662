import { concat } from "./bytes.ts";
import { PayloadStoreError } from "./errors.ts";

export interface NumberedLine {
  /** Counted from 1, blank lines included, as an editor shows it. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

const newline = 0x0a;

/**
 * Cuts a stream of bytes into lines; a newline cannot occur inside a UTF-8 character. Blank lines are counted and left out.
 * A last line without a newline is a line.
 *
 * @throws {PayloadStoreError} `TOO_LARGE` as soon as a line is longer than `lineBytesMax`
 */
export async function* splitLines(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<NumberedLine> {
  let number = 1;
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  for await (const piece of pieces) {
    let start = 0;
    for (let end = piece.indexOf(newline); end !== -1; end = piece.indexOf(newline, start)) {
      const rest = piece.subarray(start, end);
      const bytes = begun.length === 0 ? rest : concat([...begun, rest]);
      if (bytes.length > lineBytesMax) throw lineTooLong(number, lineBytesMax);
      if (!isBlank(bytes)) yield { number, bytes };
      begun = [];
      begunBytes = 0;
      number += 1;
      start = end + 1;
    }
    if (start < piece.length) {
      begun.push(piece.subarray(start));
      begunBytes += piece.length - start;
      if (begunBytes > lineBytesMax) throw lineTooLong(number, lineBytesMax);
    }
  }
  const last = concat(begun);
  if (!isBlank(last)) yield { number, bytes: last };
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

function lineTooLong(line: number, lineBytesMax: number): PayloadStoreError {
  const message = `line ${line}: longer than ${lineBytesMax} bytes`;
  return new PayloadStoreError("TOO_LARGE", message, { details: { line, bytesMax: lineBytesMax } });
}
