import process from "node:process";

/** Text gathered before it is written, in characters. */
const pieceChars = 64 * 1024;

/** Writes to standard output and waits until it is taken, so that a slow reader slows the command down. */
export function write(piece: string | Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  process.stdout.write(piece, (error) => (error ? reject(error) : resolve()));
  return promise;
}

export async function writeAll(pieces: AsyncIterable<string | Uint8Array>): Promise<void> {
  let gathered: string[] = [];
  let chars = 0;
  for await (const piece of pieces) {
    if (typeof piece === "string") {
      gathered.push(piece);
      chars += piece.length;
      if (chars < pieceChars) continue;
    }
    if (chars > 0) await write(gathered.join(""));
    if (typeof piece !== "string") await write(piece);
    gathered = [];
    chars = 0;
  }
  if (chars > 0) await write(gathered.join(""));
}

export function writeJson(value: unknown): Promise<void> {
  return write(`${JSON.stringify(value)}\n`);
}

export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A name for people's eyes: control characters and writing-direction marks would redraw the terminal. */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function count(number: number, noun: string): string {
  return `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
}
