import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { concat } from "../core/bytes.ts";
import { PayloadStoreError } from "../core/errors.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";

/** The bytes of a file, or of standard input for `-`, piece by piece. */
export async function* piecesOf(file: string, onPiece: (bytes: number) => void = () => {}): AsyncGenerator<Uint8Array> {
  const stream: AsyncIterable<Uint8Array> = file === "-" ? process.stdin : createReadStream(file);
  try {
    for await (const piece of stream) {
      onPiece(piece.length);
      yield piece;
    }
  } catch (cause) {
    // What the consumer throws does not come by here: a failure in this loop is one of reading.
    throw new CommandFailure(exitCodes.usage, `${named(file)} cannot be read: ${(cause as Error).message}`, cause);
  }
}

/** Reads all of it. @throws {PayloadStoreError} `TOO_LARGE` at the byte that is too many */
export async function bytesOf(file: string, bytesMax: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(file)) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new PayloadStoreError("TOO_LARGE", `${named(file)} has more than ${bytesMax} bytes`);
    pieces.push(piece);
  }
  return concat(pieces);
}

/** Length of a file in bytes, 0 when nobody can know. */
export async function lengthOf(file: string): Promise<number> {
  if (file === "-") return 0;
  const stats = await stat(file).catch(() => undefined);
  return stats?.isFile() === true ? stats.size : 0;
}

/** Unzips what is gzip by its first two bytes, which no JSON begins with, and passes on what is not. */
export async function* unzipped(pieces: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < 2) {
    const next = await pieces.next();
    if (next.done === true) break;
    head = concat([head, next.value]);
  }
  const whole = startingWith(head, pieces);
  if (head[0] === 0x1f && head[1] === 0x8b) yield* gunzipped(whole);
  else yield* whole;
}

async function* gunzipped(pieces: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  // Its failure destroys the stream read below, which then throws.
  pipeline(Readable.from(pieces), gunzip).catch(() => {});
  try {
    for await (const piece of gunzip) yield piece as Uint8Array;
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    throw new CommandFailure(
      exitCodes.store,
      `the gzip input is damaged or cut off: ${(cause as Error).message}`,
      cause,
    );
  }
}

async function* startingWith(head: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  yield* rest;
}

function named(file: string): string {
  return file === "-" ? "standard input" : file;
}
