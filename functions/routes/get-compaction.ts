import * as v from "valibot";
import { refusal } from "../http-errors.ts";
import { naturalSchema } from "../schemas.ts";
import { type CompactionState, json, type Route } from "./route.ts";

export const compactionStateSchema = v.pipe(
  v.object({
    paused: v.pipe(v.boolean(), v.description("it begins no run by itself")),
    running: v.pipe(v.boolean(), v.description("a run is under way, or waits for one that is")),
    everySeconds: v.pipe(naturalSchema, v.description("from one run to the next; 0 where it begins none by itself")),
  }),
  v.metadata({ ref: "CompactionState" }),
) satisfies v.GenericSchema<CompactionState>;

/** GET /compaction: what the local server's compaction is at. */
export const getCompaction: Route = {
  description: {
    operationId: "getCompaction",
    summary: "What compaction is at",
    description: "Of the local server only: elsewhere it is 404.",
    answers: { 200: { description: "Its state.", content: [{ kind: "json", schema: compactionStateSchema }] } },
    problems: ["NOT_FOUND"],
  },
  access: "server",
  handle: (_context, _names, _store, { compaction }) =>
    compaction === undefined ? compactsElsewhere() : json(compaction.state),
};

export function compactsElsewhere(): Response {
  return refusal("NOT_FOUND", "this server does not compact: what does is a job of its own");
}
