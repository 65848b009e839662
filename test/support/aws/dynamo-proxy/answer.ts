import { crc32 } from "node:zlib";
import type { ServerResponse } from "node:http";
import type { SignatureRefusal } from "../signature.ts";

/** A JSON object of DynamoDB's protocol. */
export interface Json {
  readonly [name: string]: unknown;
}

export interface DynamoAnswer {
  readonly status: number;
  readonly json: Json;
}

/** An error as DynamoDB words it: always 400, but for its own failures. */
export function dynamoError(code: string, message: string): DynamoAnswer {
  const status = code === "InternalServerError" ? 500 : 400;
  return { status, json: { __type: `com.amazonaws.dynamodb.v20120810#${code}`, message } };
}

/** The code of an answer that is an error. */
export function errorCodeOf({ status, json }: DynamoAnswer): string | undefined {
  return status < 400 ? undefined : String(json["__type"]).split("#").at(-1);
}

/** A signature that does not hold, as DynamoDB words it. */
export function signatureRefused({ reason, text }: SignatureRefusal): DynamoAnswer {
  switch (reason) {
    case "missing":
      return dynamoError("MissingAuthenticationTokenException", "Request is missing Authentication Token");
    case "malformed":
      return dynamoError("IncompleteSignatureException", text);
    case "unknown-key":
      return dynamoError("UnrecognizedClientException", "The security token included in the request is invalid.");
    case "skewed":
    case "expired":
      return dynamoError("InvalidSignatureException", `Signature expired or not yet current: ${text}`);
    default:
      return dynamoError(
        "InvalidSignatureException",
        `The request signature we calculated does not match the signature you provided: ${reason}, ${text}`,
      );
  }
}

/** Sends an answer with the checksum that DynamoDB sends. @returns the body's bytes. */
export function sendJson(response: ServerResponse, { status, json }: DynamoAnswer, nowMs: number): number {
  const body = Buffer.from(JSON.stringify(json));
  response.sendDate = false;
  response.writeHead(status, {
    // SDKs correct their clock by it.
    date: new Date(nowMs).toUTCString(),
    "content-type": "application/x-amz-json-1.0",
    "content-length": String(body.length),
    "x-amz-crc32": String(crc32(body)),
  });
  response.end(body);
  return body.length;
}
