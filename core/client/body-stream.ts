import type { ReadRange } from "../payload.ts";
import { cutOff } from "./payload-answer.ts";
import type { OpenAnswer } from "./transport.ts";

/**
 * The body of an answer, piece by piece, as fast as it is taken and no faster.
 *
 * @param bytes  its length where it is known: less is an error
 * @throws {PayloadStoreError} `UNAVAILABLE` when the connection breaks off or takes too long for a piece, `ABORTED`
 */
export async function* piecesOf(answer: OpenAnswer, bytes = 0): AsyncGenerator<Uint8Array, undefined> {
  const { response, watch, errorFrom } = answer;
  const reader = response.body?.getReader();
  let read = 0;
  let isDone = false;
  try {
    while (reader) {
      const { done, value } = await watch.during(() => reader.read());
      if (done) break;
      read += value.length;
      yield value;
    }
    if (read < bytes) throw cutOff(read, bytes);
    isDone = true;
    return undefined;
  } catch (error) {
    throw errorFrom(error);
  } finally {
    watch.end();
    // Who stops in the middle wants no more of it; the connection is closed rather than read to its end.
    if (!isDone) await reader?.cancel().catch(() => {});
  }
}

/** What `look` finds in an answer's head. An answer that is of no use is not read further. */
export function answered<T>({ response, watch }: OpenAnswer, look: () => T): T {
  try {
    return look();
  } catch (error) {
    watch.end();
    void response.body?.cancel().catch(() => {});
    throw error;
  }
}

/** Bytes `start` … `end` − 1 of a whole. */
export async function* cutTo(
  pieces: AsyncGenerator<Uint8Array, undefined>,
  { start, end }: ReadRange,
): AsyncGenerator<Uint8Array, undefined> {
  let at = 0;
  for await (const piece of pieces) {
    const part = piece.subarray(Math.max(start - at, 0), Math.max(end - at, 0));
    if (part.length > 0) yield part;
    at += piece.length;
  }
  return undefined;
}

/** An iteration as the stream that the Web has for it. */
export function streamOf(pieces: AsyncGenerator<Uint8Array, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await pieces.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** A stream of bytes that are there already. */
export function streamOfBytes(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}
