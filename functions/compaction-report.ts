import * as v from "valibot";
import type { CompactionReport } from "../core/compaction/compaction.ts";
import { naturalSchema } from "./schemas.ts";

const segmentSchema = v.object({
  tenant: v.string(),
  segment: v.string(),
  bytes: naturalSchema,
  into: v.optional(v.pipe(v.array(v.string()), v.description("segments that hold now what is alive of it"))),
});

const sumSchema = v.object({ payloads: naturalSchema, bytes: naturalSchema });

const plannedSchema = v.object({
  usage: v.object({
    tenant: v.string(),
    segment: v.string(),
    bytes: naturalSchema,
    stored: v.pipe(naturalSchema, v.description("bytes of all payloads that it was written with")),
    live: v.pipe(
      v.tuple([naturalSchema, naturalSchema, naturalSchema]),
      v.description("of these what is alive, by the tier of its compression"),
    ),
    expired: v.pipe(naturalSchema, v.description("of live, in bytes")),
    createdMs: v.number(),
  }),
  reason: v.picklist(["erasure", "dead", "garbage", "small", "aged"]),
  tier: v.picklist([0, 1, 2]),
});

/** What a run did, for all tenants, as it is answered. */
export const compactionReportSchema = v.pipe(
  v.object({
    plan: v.object({
      segments: v.array(plannedSchema),
      rewrittenBytes: v.pipe(
        naturalSchema,
        v.description("bytes that are alive in them: an estimate of what is written"),
      ),
      freedBytes: naturalSchema,
      amplification: v.number(),
      postponed: naturalSchema,
    }),
    segments: v.pipe(v.array(segmentSchema), v.description("that were emptied")),
    bytesIn: naturalSchema,
    pages: naturalSchema,
    payloads: naturalSchema,
    bytesOut: v.pipe(naturalSchema, v.description("bytes of payloads that were written again")),
    expired: v.pipe(
      v.object({ ...sumSchema.entries, byRetention: v.record(v.string(), sumSchema) }),
      v.description(
        "what was kept long enough; by retention class, `_default` for none and `_own` for an expiry of its own",
      ),
    ),
    freed: v.pipe(v.array(segmentSchema), v.description("that are gone")),
    freedBytes: naturalSchema,
    waiting: v.pipe(naturalSchema, v.description("segments that go once the grace is over")),
    skipped: v.array(
      v.object({ tenant: v.string(), segment: v.string(), group: v.optional(v.string()), reason: v.string() }),
    ),
    complete: v.pipe(v.boolean(), v.description("false where time or room ran out: ask again")),
  }),
  v.metadata({ ref: "CompactionReport" }),
) satisfies v.GenericSchema<Omit<CompactionReport, "rows">>;
