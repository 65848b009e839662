import * as v from "valibot";
import { PayloadStoreError } from "../../core/errors.ts";
import type { CodecName } from "../../core/ports/codec.ts";
import { expiresHeader, expiryOf, retentionHeader } from "../expiry.ts";
import { attributesIn } from "../payload-attributes.ts";
import { readBody } from "../request-body.ts";
import { bytesSchema, idempotencyKey, locationSchema, nameSchema } from "../schemas.ts";
import { createsOnly } from "../write-conditions.ts";
import { json, type Route } from "./route.ts";

/** PUT …/payloads/{id}: stores the body under the id. It answers after the commit is durable. Idempotency-Key: once only. */
export const putPayload: Route = {
  description: {
    operationId: "putPayload",
    summary: "Store a payload",
    description: "It answers after the commit is durable. A payload by this name is overwritten.",
    query: { codec: { description: "by default the store chooses", schema: v.picklist(["none", "lz4", "zstd"]) } },
    headers: {
      "If-None-Match": { description: "stores only where there is nothing, else 412", schema: v.literal("*") },
      "Idempotency-Key": idempotencyKey,
      "Paylode-Attributes": {
        description: "the payload's attributes, as application/x-www-form-urlencoded",
        schema: v.string(),
      },
      "Paylode-Expires": {
        description: "from then on the payload counts as absent: ISO 8601 with its offset, or milliseconds since 1970",
        schema: v.string(),
      },
      "Paylode-Retention": {
        description: "a class of the server's, which says how long the payload is kept; not beside Paylode-Expires",
        schema: v.string(),
      },
    },
    body: { kind: "bytes" },
    answers: {
      200: {
        description: "It is stored and durable.",
        content: [
          {
            kind: "json",
            schema: v.object({ id: nameSchema, group: nameSchema, bytes: bytesSchema, location: locationSchema }),
          },
        ],
      },
    },
    problems: ["EXISTS", "CONFLICT", "KEY_REUSED", "TOO_LARGE", "CORRUPT"],
  },
  handle: async (context, { tenant, group, id }, store) => {
    const ifAbsent = createsOnly((name) => context.req.header(name));
    const codec = codecOf(context.req.query("codec"));
    const contentType = context.req.header("content-type");
    const attributes = attributesIn((name) => context.req.header(name));
    const expiresAt = expiryOf(context.req.header(expiresHeader));
    const bytes = await readBody(context.req.raw, store.payloadBytesMax);
    const location = await store.append({ tenant, group, id }, bytes, {
      contentType,
      attributes,
      codec,
      expiresAt,
      retention: context.req.header(retentionHeader),
      ifAbsent,
      idempotencyKey: context.req.header("idempotency-key"),
    });
    // 200 and not 201: the store does not look whether there was one before, which would cost a read.
    return json({ id, group, bytes: bytes.length, location });
  },
};

function codecOf(name: string | undefined): CodecName | undefined {
  if (name === undefined || name === "none" || name === "lz4" || name === "zstd") return name;
  throw new PayloadStoreError("INVALID", `codec must be none, lz4 or zstd; got ${JSON.stringify(name.slice(0, 80))}`);
}
