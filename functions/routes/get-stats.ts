import * as v from "valibot";
import type { Stats } from "../../core/payload.ts";
import { naturalSchema } from "../schemas.ts";
import { json, type Route } from "./route.ts";

const statsSchema = v.pipe(
  v.object({
    payloads: naturalSchema,
    uncompressedBytes: v.pipe(naturalSchema, v.description("the payloads' lengths, in bytes")),
    compressedBytes: v.pipe(naturalSchema, v.description("their shares of the stored blocks, in bytes")),
    ratio: v.pipe(v.number(), v.description("uncompressedBytes / compressedBytes; 1 for an empty tenant")),
    none: v.pipe(naturalSchema, v.description("payloads that are stored without compression")),
    lz4: naturalSchema,
    zstd: naturalSchema,
    exact: v.pipe(
      v.boolean(),
      v.description("false once damage kept the store from subtracting what an overwrite or a delete made dead"),
    ),
  }),
  v.metadata({ ref: "Stats" }),
) satisfies v.GenericSchema<Stats>;

/** GET …/stats: numbers of one tenant, kept up to date by each commit, so that asking costs nothing. */
export const getStats: Route = {
  description: {
    operationId: "getStats",
    summary: "Count what a tenant has",
    answers: { 200: { description: "The numbers.", content: [{ kind: "json", schema: statsSchema }] } },
    problems: ["UNSUPPORTED"],
  },
  scans: true,
  handle: async (_context, { tenant }, store) => json(await store.stats({ tenant })),
};
