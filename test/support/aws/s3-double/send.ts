import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { S3Answer } from "./bucket.ts";

/** How a body comes out: whole, cut in its middle, or in pieces with a pause before each. */
export type Delivery = { readonly kind: "whole" | "cut" } | { readonly kind: "slow"; readonly delayMs: number };

/** Sends an answer; without its body to HEAD. @returns how many bytes of the body were sent. */
export async function sendAnswer(
  message: IncomingMessage,
  response: ServerResponse,
  answer: S3Answer,
  nowMs: number,
  delivery: Delivery = { kind: "whole" },
): Promise<number> {
  const { socket } = message;
  const isText = typeof answer.body === "string";
  const body = isText ? Buffer.from(answer.body) : (answer.body ?? new Uint8Array());
  const hasBody = message.method !== "HEAD" && answer.status !== 204 && answer.status !== 304;
  response.sendDate = false;
  response.writeHead(answer.status, {
    server: "paylode-s3-double",
    // SDKs correct their clock by it.
    date: new Date(nowMs).toUTCString(),
    "x-amz-request-id": randomBytes(8).toString("hex").toUpperCase(),
    ...(isText && hasBody && { "content-type": "application/xml" }),
    ...answer.headers,
    ...(answer.status !== 204 && answer.status !== 304 && { "content-length": String(body.length) }),
  });
  if (!hasBody) {
    response.end();
    return 0;
  }

  switch (delivery.kind) {
    case "whole":
      response.end(body);
      return body.length;
    case "cut": {
      const half = body.subarray(0, body.length / 2);
      response.flushHeaders();
      response.write(half, () => socket.destroy());
      return half.length;
    }
    case "slow":
      for (let piece = 0; piece < slowPieces; piece += 1) {
        await sleep(delivery.delayMs);
        const start = Math.floor((piece * body.length) / slowPieces);
        response.write(body.subarray(start, Math.floor(((piece + 1) * body.length) / slowPieces)));
      }
      response.end();
      return body.length;
  }
}

const slowPieces = 8;

/** Reads the first half of a body, then resets the connection. @returns how many bytes were read. */
export function cutUpload(message: IncomingMessage): Promise<number> {
  const { socket } = message;
  const half = Number(message.headers["content-length"] ?? 0) / 2;
  let read = 0;
  return new Promise((resolve) => {
    message.on("data", (chunk: Uint8Array) => {
      read += chunk.length;
      if (read < half) return;
      socket.resetAndDestroy();
      resolve(read);
    });
    message.on("error", () => resolve(read));
  });
}
