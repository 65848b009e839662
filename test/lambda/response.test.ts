import { EventEmitter } from "node:events";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { PayloadStoreError } from "../../core/errors.ts";
import { clientIsGone, sendResponse } from "../../functions/lambda-response.ts";
import type { LambdaRuntime, ResponseHead, ResponseStream } from "../../functions/lambda-runtime.ts";

/** A stream of the runtime that takes `room` bytes at a time: then it asks its writer to wait until it is drained. */
class Taken extends EventEmitter implements ResponseStream {
  head: ResponseHead | undefined;
  readonly pieces: Uint8Array[] = [];
  readonly #room: number;

  constructor(room = Infinity) {
    super();
    this.#room = room;
  }

  write(piece: Uint8Array | string): boolean {
    this.pieces.push(Buffer.from(piece));
    return piece.length < this.#room;
  }

  end(): void {}

  get text(): string {
    return Buffer.concat(this.pieces).toString();
  }
}

const runtime: LambdaRuntime = {
  streamifyResponse: (handler) => handler,
  HttpResponseStream: {
    from(stream, head) {
      (stream as Taken).head = head;
      return stream;
    },
  },
};

/** A body that counts what is asked of it, and ends well, in an error, or never. */
function bodyOf(pieces: readonly string[], end?: Error | "never") {
  let asked = 0;
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces[asked++];
        if (piece !== undefined) controller.enqueue(new TextEncoder().encode(piece));
        else if (end === "never") return new Promise<void>(() => {});
        else if (end === undefined) controller.close();
        else controller.error(end);
        return undefined;
      },
      cancel: () => void (cancelled = true),
    },
    { highWaterMark: 0 },
  );
  return { body, asked: () => asked, cancelled: () => cancelled };
}

const never = new AbortController().signal;
const lines = { headers: { "content-type": "application/x-ndjson" } };
const turns = () => setTimeout(20);

describe("an answer to the runtime", () => {
  test("has status, headers and body", async () => {
    const stream = new Taken();

    const sent = await sendResponse(
      new Response("body", { status: 206, headers: { etag: '"a"' } }),
      stream,
      runtime,
      never,
    );

    expect(stream.head).toMatchObject({ statusCode: 206, headers: { etag: '"a"' } });
    expect(stream.text).toBe("body");
    expect(sent).toEqual({ status: 206, bytes: 4, broken: false });
  });

  test("is written also where its body is empty, or the runtime would send no status", async () => {
    for (const body of [null, ""]) {
      const stream = new Taken();

      await sendResponse(new Response(body), stream, runtime, never);

      expect(stream.head?.statusCode).toBe(200);
      expect(stream.pieces.length).toBeGreaterThan(0);
      expect(stream.text).toBe("");
    }
  });

  test("waits while the stream is full", async () => {
    const stream = new Taken(3);
    const { body, asked } = bodyOf(["one", "two", "three"]);

    const sent = sendResponse(new Response(body), stream, runtime, never);
    await turns();
    const before = asked();
    for (let i = 0; i < 3; i++) {
      stream.emit("drain");
      await turns();
    }

    expect(before).toBe(1);
    expect(await sent).toMatchObject({ bytes: 11, broken: false });
    expect(stream.listenerCount("drain")).toBe(0);
  });

  test("whose body fails at once is the problem", async () => {
    const stream = new Taken();
    const error = new PayloadStoreError("CORRUPT", "crc");

    const sent = await sendResponse(new Response(bodyOf([], error).body, lines), stream, runtime, never);

    expect(stream.head).toMatchObject({ statusCode: 500, headers: { "content-type": "application/problem+json" } });
    expect(JSON.parse(stream.text)).toMatchObject({ code: "CORRUPT", detail: "crc" });
    expect(sent).toEqual({ status: 500, bytes: stream.text.length, failure: error, broken: false });
  });

  test("of lines ends in the problem where it breaks off, and of an error nobody planned for tells nothing", async () => {
    const stream = new Taken();

    const sent = await sendResponse(
      new Response(bodyOf(['{"id":"a"}\n'], new Error("secret")).body, lines),
      stream,
      runtime,
      never,
    );

    const [first = "", last = "", ...more] = stream.text.split("\n");
    expect([first, ...more]).toEqual(['{"id":"a"}', ""]);
    expect(JSON.parse(last)).toMatchObject({ code: "INTERNAL", status: 500 });
    expect(stream.text).not.toContain("secret");
    expect(sent).toMatchObject({ status: 200, bytes: 11, broken: true });
  });

  test("of bytes just ends where it breaks off: it is shorter than it said", async () => {
    const stream = new Taken();

    const sent = await sendResponse(new Response(bodyOf(["half"], new Error("no")).body), stream, runtime, never);

    expect(stream.text).toBe("half");
    expect(sent).toMatchObject({ bytes: 4, broken: true });
  });

  test.each([
    ["its body", Infinity],
    ["the stream", 3],
  ])("ends with its signal, also while it waits for %s", async (_what, room) => {
    const stream = new Taken(room);
    const controller = new AbortController();
    const { body, cancelled } = bodyOf(["one"], "never");

    const sent = sendResponse(new Response(body, lines), stream, runtime, controller.signal);
    await turns();
    controller.abort(new PayloadStoreError("ABORTED", "the client went away"));

    expect(await sent).toMatchObject({ status: 200, bytes: 3, broken: true });
    expect(clientIsGone(await sent)).toBe(true);
    await expect.poll(cancelled).toBe(true);
  });

  test("that has no first byte when its signal comes is the problem", async () => {
    const stream = new Taken();
    const signal = AbortSignal.abort(new PayloadStoreError("UNAVAILABLE", "the time of the request ran out"));

    const sent = await sendResponse(new Response(bodyOf([], "never").body), stream, runtime, signal);

    expect(stream.head?.statusCode).toBe(503);
    expect(sent).toMatchObject({ status: 503, broken: false });
  });
});
