import * as v from "valibot";
import { PayloadStoreError } from "../../core/errors.ts";
import { compactionReportSchema } from "../compaction-report.ts";
import { compactsElsewhere } from "./get-compaction.ts";
import { json, type Route } from "./route.ts";

/**
 * POST /compaction: a run now, of all tenants, and what it did. It ends after a minute: an answer that is not `complete` is
 * asked for again.
 */
export const compactStore: Route = {
  description: {
    operationId: "compactStore",
    summary: "Compact now",
    description:
      "Of the local server only: elsewhere it is 404. After the run that is under way; also while it is paused.",
    query: {
      grace: {
        description: "seconds for which what was rewritten is kept for who still reads it; 300 by default",
        schema: v.pipe(v.string(), v.regex(/^\d{1,8}$/)),
      },
    },
    answers: {
      200: { description: "What it did.", content: [{ kind: "json", schema: compactionReportSchema }] },
    },
    problems: ["INVALID", "NOT_FOUND", "UNAVAILABLE", "CLOSED", "ABORTED"],
  },
  access: "server",
  handle: async (context, _names, _store, { compaction }) => {
    if (compaction === undefined) return compactsElsewhere();
    const graceMs = graceOf(context.req.query("grace"));
    const { rows: _rows, ...report } = await compaction.now({ graceMs });
    return json(report);
  },
};

/** @returns milliseconds */
function graceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,8}$/.test(text)) return Number(text) * 1_000;
  throw new PayloadStoreError("INVALID", "grace is a whole number of seconds", { details: { field: "grace" } });
}
