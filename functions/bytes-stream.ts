/**
 * Pieces as the body of an answer, as fast as they are taken, and no faster. A failure breaks the connection: an answer that
 * ended well would be taken for the whole.
 */
export function bytesStream(pieces: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await iterator.next();
        if (piece.done === true) controller.close();
        else controller.enqueue(piece.value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    // Nothing is read ahead: an error then always meets a waiting reader, which breaks off instead of ending well.
    { highWaterMark: 0 },
  );
}
