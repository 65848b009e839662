import type { Context } from "hono";
import type { AccessKey } from "../core/access/access-key.ts";
import { httpLimits } from "./http-limits.ts";

/** Spends bytes of a quota, or throws `QUOTA_EXCEEDED`; gives bytes back that were not used. */
type Spend = (bytes: number) => Promise<(unused: number) => void>;

/**
 * Holds a request to its key's quota of bytes: bodies of writes as they come in, bodies of answers to reads as they go out.
 *
 * A length that is announced is spent before a byte is read or sent. Without one, each piece is spent as it comes; when the
 * quota ends, a body that is read ends in `QUOTA_EXCEEDED`, so that nothing is stored, and an answer under way breaks off.
 */
export async function countedBytes(
  spend: Spend,
  key: AccessKey,
  context: Context,
  answer: () => Response | Promise<Response>,
): Promise<Response> {
  const { method } = context.req;
  if (key.quota.bytesPerDay === undefined || method === "HEAD" || method === "DELETE") return answer();
  context.set(spendOfKey, spend);
  if (method === "GET") {
    await spend(0);
    return countedAnswer(await answer(), spend);
  }
  const request = context.req.raw;
  const announced = announcedBytes(request);
  if (announced === undefined) {
    if (request.body) {
      const body = ReadableStream.from(counted(request.body, spend));
      context.req.raw = new Request(request, { method, body, duplex: "half" });
    }
    return answer();
  }
  const giveBack = await spend(announced);
  try {
    return await answer();
  } finally {
    // It was refused for its headers alone.
    if (!request.bodyUsed) giveBack(announced);
  }
}

/** Counts bytes that a request lets pass elsewhere. @throws {PayloadStoreError} `QUOTA_EXCEEDED` when they do not fit */
export async function countBytesElsewhere(context: Context, bytes: number): Promise<void> {
  const spend = context.get(spendOfKey) as Spend | undefined;
  await spend?.(bytes);
}

const spendOfKey = "spendOfKey";

/** @returns `undefined` where nobody knows, and 0 for what is too long to be taken: the route refuses it unread. */
function announcedBytes(request: Request): number | undefined {
  const length = request.headers.get("content-length") ?? "";
  if (!/^\d+$/.test(length)) return undefined;
  return Number(length) > httpLimits.batchBodyBytesMax ? 0 : Number(length);
}

async function countedAnswer(response: Response, spend: Spend): Promise<Response> {
  if (!response.ok) return response;
  const length = response.headers.get("content-length");
  if (length !== null) {
    await spend(Number(length));
    return response;
  }
  if (response.body === null) return response;
  const pieces = counted(response.body, spend);
  // The first piece is waited for, so that a quota that is used up is a problem document.
  let first: IteratorResult<Uint8Array> | undefined = await pieces.next();
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = first ?? (await pieces.next());
        first = undefined;
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await pieces.return(undefined);
      },
    },
    // Nothing is read ahead, as in the streams that it counts.
    { highWaterMark: 0 },
  );
  return new Response(stream, response);
}

async function* counted(body: ReadableStream<Uint8Array>, spend: Spend): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    await spend(piece.length);
    yield piece;
  }
}
