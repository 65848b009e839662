import { concat } from "../core/bytes.ts";
import { isPayloadStoreError, PayloadStoreError } from "../core/errors.ts";

/**
 * Reads a request's body whole, or not at all.
 *
 * A body that is announced as too long is refused before a byte of it is read; one of unknown length at the byte that
 * is too many.
 *
 * @throws {PayloadStoreError} `TOO_LARGE` above `bytesMax`; `ABORTED` when the client goes away; `INVALID` when the length
 *   is not the one announced, or the body is encoded (stored bytes would no longer be what their content type says).
 */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new PayloadStoreError("INVALID", `Content-Encoding ${encoding} is not kept: send the bytes as they are`);
  }
  const announced = request.headers.get("content-length");
  if (announced === null) return readPieces(request, bytesMax);
  const length = /^\d+$/.test(announced) ? Number(announced) : Number.NaN;
  if (Number.isNaN(length)) throw new PayloadStoreError("INVALID", "Content-Length is not a number");
  if (length > bytesMax) throw tooLarge(bytesMax, `${length}`);
  const bytes = new Uint8Array(await request.arrayBuffer().catch(clientGone));
  if (bytes.length !== length) {
    throw new PayloadStoreError("INVALID", `the body has ${bytes.length} bytes, Content-Length says ${length}`);
  }
  return bytes;
}

async function readPieces(request: Request, bytesMax: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of request.body as ReadableStream<Uint8Array>) {
      length += piece.length;
      if (length > bytesMax) throw tooLarge(bytesMax, "more");
      pieces.push(piece);
    }
  } catch (error) {
    if (isPayloadStoreError(error)) throw error;
    clientGone(error);
  }
  return concat(pieces);
}

function clientGone(cause: unknown): never {
  throw new PayloadStoreError("ABORTED", "the body ended before it was complete; nothing was stored", { cause });
}

function tooLarge(bytesMax: number, got: string): PayloadStoreError {
  const details = { bytesMax };
  return new PayloadStoreError("TOO_LARGE", `the body may have ${bytesMax} bytes; it has ${got}`, { details });
}
