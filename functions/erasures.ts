import * as v from "valibot";
import type { Erasure, ErasureSelector } from "../core/erasure/erasure.ts";
import { expiryOf, expiryText } from "./expiry.ts";
import { attributesSchema, nameSchema, naturalSchema } from "./schemas.ts";

const timeSchema = v.pipe(v.string(), v.description("ISO 8601 with its offset"));
const whenSchema = v.pipe(v.string(), v.isoTimestamp());

/** What is to be erased, as a request's body says it. */
export const selectorSchema = v.pipe(
  v.strictObject({
    group: v.optional(v.pipe(nameSchema, v.description("only of this group"))),
    ids: v.optional(v.pipe(v.array(nameSchema), v.description("only these of the group, at most 10,000"))),
    where: v.optional(v.pipe(attributesSchema, v.description("only those with these attributes"))),
    from: v.optional(v.pipe(timeSchema, v.description("only those committed from then on"))),
    to: v.optional(v.pipe(timeSchema, v.description("only those committed before then"))),
    everything: v.optional(
      v.pipe(v.literal(true), v.description("all that the tenant has; then nothing else is said")),
    ),
  }),
  v.description("the payloads that fit all that is said"),
  v.metadata({ ref: "ErasureSelector" }),
);

const hashSchema = v.pipe(v.string(), v.description("SHA-256 of the whole segment"));

export const erasureSchema = v.pipe(
  v.object({
    erasure: v.pipe(v.string(), v.description("names it in its tenant")),
    state: v.picklist(["hiding", "hidden", "compacting", "waiting", "gone"]),
    selector: selectorSchema,
    requested: whenSchema,
    hidden: v.optional(v.pipe(whenSchema, v.description("since when no answer has any of it"))),
    gone: v.optional(v.pipe(whenSchema, v.description("since when no segment has any of it"))),
    groups: v.pipe(naturalSchema, v.description("that were looked into so far")),
    payloads: v.pipe(naturalSchema, v.description("that were hidden so far")),
    unknown: v.pipe(v.array(v.string()), v.description("ids that were named and are not there")),
    segments: v.pipe(
      v.array(
        v.object({
          segment: v.string(),
          state: v.picklist(["held", "waiting", "gone"]),
          sha256: v.optional(hashSchema),
          reason: v.optional(v.pipe(v.string(), v.description("why it could not be compacted yet"))),
        }),
      ),
      v.description("that held some of it"),
    ),
    unlisted: v.optional(v.pipe(naturalSchema, v.description("segments that held some of it and are not listed"))),
    successors: v.pipe(
      v.array(v.object({ segment: v.string(), sha256: v.optional(hashSchema) })),
      v.description("that hold now what was not to be erased"),
    ),
    reason: v.optional(v.pipe(v.string(), v.description("why it is not known to be gone, where that is damage"))),
  }),
  v.metadata({ ref: "Erasure" }),
);

/** @throws {PayloadStoreError} `INVALID` */
export function selectorOf({ from, to, ...rest }: v.InferOutput<typeof selectorSchema>): ErasureSelector {
  return { ...rest, fromMs: expiryOf(from), toMs: expiryOf(to) };
}

/** A receipt as it is answered. */
export function receiptJson(erasure: Erasure): v.InferOutput<typeof erasureSchema> {
  const { id, state, selector, requestedMs, hiddenMs, goneMs, groups, payloads, unknown } = erasure;
  const { segments, unlisted, successors, reason } = erasure;
  const { fromMs, toMs, ids, ...named } = selector;
  return {
    erasure: id,
    state,
    selector: { ...named, ids: ids && [...ids], from: timeText(fromMs), to: timeText(toMs) },
    requested: expiryText(requestedMs),
    hidden: timeText(hiddenMs),
    gone: timeText(goneMs),
    groups,
    payloads,
    unknown: [...unknown],
    segments: [...segments],
    unlisted,
    successors: [...successors],
    reason,
  };
}

function timeText(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : expiryText(ms);
}
