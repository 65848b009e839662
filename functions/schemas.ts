import * as v from "valibot";
import { errorCodes, type ErrorCode } from "../core/errors.ts";
import type { Location } from "../core/payload.ts";
import type { LineMember } from "./ndjson-lines.ts";

/** Shapes that more than one route speaks of, for docs/openapi.json. A `ref` gives a shape its name there. */

export const naturalSchema = v.pipe(v.number(), v.integer(), v.minValue(0));

export const bytesSchema = v.pipe(naturalSchema, v.description("length in bytes"));

export const nameSchema = v.pipe(v.string(), v.minLength(1), v.description("1–512 bytes of UTF-8, not . and not .."));

export const locationSchema = v.pipe(
  v.object({
    version: v.literal(0),
    segment: v.string(),
    offset: naturalSchema,
    stored: naturalSchema,
    codec: v.pipe(v.picklist([0, 1, 2]), v.description("0 none, 1 LZ4, 2 zstd")),
    start: naturalSchema,
    length: naturalSchema,
    page: v.optional(v.object({ group: v.string(), sequence: naturalSchema })),
  }),
  v.description("where the bytes lie: for `getAt` of the library, opaque to everybody else"),
  v.metadata({ ref: "Location" }),
) satisfies v.GenericSchema<Location>;

export const sha256Schema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-fA-F]{64}$/, "must be 64 hex digits"),
  v.description("SHA-256 of the bytes, 64 hex digits"),
);

export const attributesSchema = v.pipe(
  v.record(v.string(), v.string()),
  v.description("at most 32 names with values, 4,096 bytes in all"),
);

export const expirySchema = v.pipe(
  v.union([v.string(), v.number()]),
  v.description("from then on it counts as absent: ISO 8601 with its offset, or milliseconds since 1970"),
);

export const idempotencyKey = {
  description: "1–255 bytes, unique in its group; the same request with the same key stores once. docs/http.md §5",
  schema: v.string(),
} as const;

export const problemSchema = v.pipe(
  v.looseObject({
    type: v.pipe(v.string(), v.description("urn:paylode:error:{code}, or about:blank")),
    title: v.string(),
    status: v.pipe(v.number(), v.integer()),
    detail: v.pipe(v.string(), v.description("what happened, with names and numbers; for people")),
    code: v.picklist([...(Object.keys(errorCodes) as ErrorCode[]), "INTERNAL"]),
    retryable: v.boolean(),
    action: v.optional(v.pipe(v.string(), v.description("what to do about it"))),
    line: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.description("line of the batch"))),
  }),
  v.description("RFC 9457. Branch on `code`; what else is known of the error stands beside it"),
  v.metadata({ ref: "Problem" }),
);

export const retentionSchema = v.pipe(
  v.string(),
  v.description("a class of the server's, which says how long the payload is kept; not beside expiresAt"),
);

const lineMembers = {
  id: nameSchema,
  text: v.optional(v.pipe(v.string(), v.description("a payload that is UTF-8 text"))),
  payload: v.optional(v.pipe(v.string(), v.description("the same as text"))),
  json: v.optional(v.pipe(v.unknown(), v.description("a payload that is this value, written without spaces"))),
  base64: v.optional(v.pipe(v.string(), v.description("any bytes: standard alphabet, with padding"))),
  contentType: v.optional(
    v.pipe(v.nullable(v.string()), v.description("null: none, where text and json would bring one")),
  ),
  attributes: v.optional(attributesSchema),
  expiresAt: v.optional(expirySchema),
  retention: v.optional(retentionSchema),
} satisfies Omit<Record<LineMember, v.GenericSchema>, "group">;

export const groupLineSchema = v.pipe(
  v.strictObject(lineMembers),
  v.description("a payload of the group in the path, with exactly one of text, json and base64"),
  v.metadata({ ref: "GroupLine" }),
);

export const payloadLineSchema = v.pipe(
  v.strictObject({ group: nameSchema, ...lineMembers }),
  v.description("a payload, with exactly one of text, json and base64"),
  v.metadata({ ref: "PayloadLine" }),
);
