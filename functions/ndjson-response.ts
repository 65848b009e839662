import { utf8 } from "../core/bytes.ts";
import { httpLimits } from "./http-limits.ts";

/**
 * Streams lines as fast as they are taken, and no faster.
 *
 * The first line is waited for, so that a failure before it is an error document. A later failure breaks the connection:
 * an answer that ended well would be taken for the whole.
 */
export async function ndjsonResponse(lines: AsyncGenerator<string>, method: string): Promise<Response> {
  const headers = { "content-type": "application/x-ndjson", "cache-control": "no-store" };
  const first = await lines.next();
  if (method === "HEAD") {
    await lines.return(undefined);
    return new Response(null, { headers });
  }
  return new Response(streamOf(first, lines), { headers });
}

function streamOf(first: IteratorResult<string, unknown>, lines: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  let next = first;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece: string[] = [];
        let chars = 0;
        for (; next.done !== true && chars < httpLimits.streamPieceChars; next = await lines.next()) {
          piece.push(next.value);
          chars += next.value.length;
        }
        if (chars > 0) controller.enqueue(utf8(piece.join("")));
        if (next.done === true) controller.close();
      },
      async cancel() {
        await lines.return(undefined);
      },
    },
    // Nothing is read ahead: an error then always meets a waiting reader, which breaks off instead of ending well.
    { highWaterMark: 0 },
  );
}
