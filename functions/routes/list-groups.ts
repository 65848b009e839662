import * as v from "valibot";
import type { PayloadStore } from "../../core/payload-store.ts";
import type { GroupSummary } from "../../core/ports/offset-index.ts";
import { ndjsonResponse } from "../ndjson-response.ts";
import { nameSchema, naturalSchema } from "../schemas.ts";
import type { Route } from "./route.ts";

const groupSchema = v.pipe(
  v.object({ group: nameSchema, payloads: naturalSchema }),
  v.metadata({ ref: "Group" }),
) satisfies v.GenericSchema<GroupSummary>;

/** GET …/groups: each group with its number of payloads, one JSON object a line. A tenant may have millions. */
export const listGroups: Route = {
  description: {
    operationId: "listGroups",
    summary: "List the groups of a tenant",
    answers: {
      200: {
        description:
          "Older ones first, by the oldest commit that is kept of each. An answer that breaks off is not the whole.",
        content: [{ kind: "ndjson", schema: groupSchema }],
      },
    },
    problems: ["CORRUPT", "UNSUPPORTED_VERSION", "UNSUPPORTED"],
  },
  scans: true,
  handle: (context, { tenant }, store) => ndjsonResponse(groupLines(store, tenant), context.req.method),
};

async function* groupLines(store: PayloadStore, tenant: string): AsyncGenerator<string> {
  for await (const { group, payloads } of store.groups({ tenant })) yield `${JSON.stringify({ group, payloads })}\n`;
}
