import * as v from "valibot";
import { readJson } from "../json-body.ts";
import { compactionStateSchema, compactsElsewhere } from "./get-compaction.ts";
import { json, type Route } from "./route.ts";

const wishSchema = v.pipe(
  v.strictObject({ paused: v.pipe(v.boolean(), v.description("whether it begins no further run by itself")) }),
  v.metadata({ ref: "CompactionWish" }),
);

/** PUT /compaction: pauses it, or lets it go on. A run that is under way ends as it would; a new start of the server goes on. */
export const putCompaction: Route = {
  description: {
    operationId: "putCompaction",
    summary: "Pause compaction, or resume it",
    description: "Of the local server only: elsewhere it is 404. It holds until the server stops.",
    body: { kind: "json", schema: wishSchema },
    answers: { 200: { description: "Its state.", content: [{ kind: "json", schema: compactionStateSchema }] } },
    problems: ["INVALID", "NOT_FOUND", "TOO_LARGE"],
  },
  access: "server",
  handle: async (context, _names, _store, { compaction }) => {
    if (compaction === undefined) return compactsElsewhere();
    const { paused } = await readJson(context.req.raw, wishSchema);
    if (paused) compaction.pause();
    else compaction.resume();
    return json(compaction.state);
  },
};
