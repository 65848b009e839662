import * as v from "valibot";
import { expiryOf } from "../expiry.ts";
import { readJson } from "../json-body.ts";
import {
  attributesSchema,
  bytesSchema,
  expirySchema,
  idempotencyKey,
  locationSchema,
  nameSchema,
  retentionSchema,
  sha256Schema,
} from "../schemas.ts";
import { createsOnly } from "../write-conditions.ts";
import { json, type Route } from "./route.ts";

const commitSchema = v.strictObject({
  upload: v.string(),
  bytes: bytesSchema,
  sha256: sha256Schema,
  contentType: v.optional(v.string()),
  attributes: v.optional(attributesSchema),
  expiresAt: v.optional(expirySchema),
  retention: v.optional(retentionSchema),
});

/** POST …/payloads/{id}/commit: makes what was put at an upload's URL the payload, once it was read and compared. */
export const commitUpload: Route = {
  description: {
    operationId: "commitUpload",
    summary: "Commit an upload",
    description:
      "The upload is read once and compared with its length and SHA-256, which takes about a second for 100 MB. Within six hours after it was begun.",
    headers: {
      "If-None-Match": { description: "stores only where there is nothing, else 412", schema: v.literal("*") },
      "Idempotency-Key": idempotencyKey,
    },
    body: { kind: "json", schema: commitSchema },
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
    problems: ["NOT_FOUND", "GONE", "EXISTS", "CONFLICT", "KEY_REUSED", "TOO_LARGE", "CORRUPT", "UNSUPPORTED"],
  },
  handle: async (context, { tenant, group, id }, store) => {
    const ifAbsent = createsOnly((name) => context.req.header(name));
    const { expiresAt, ...put } = await readJson(context.req.raw, commitSchema);
    const idempotencyKey = context.req.header("idempotency-key");
    const upload = { ...put, expiresAt: expiryOf(expiresAt) };
    const location = await store.commitUpload({ tenant, group, id }, upload, { ifAbsent, idempotencyKey });
    return json({ id, group, bytes: put.bytes, location });
  },
};
