import type { PayloadStore } from "../../core/payload-store.ts";
import { ndjsonResponse } from "../ndjson-response.ts";
import type { Handle } from "./route.ts";

/** GET …/groups: each group with its number of payloads, one JSON object a line. A tenant may have millions. */
export const listGroups: Handle = (context, { tenant }, store) =>
  ndjsonResponse(groupLines(store, tenant), context.req.method);

async function* groupLines(store: PayloadStore, tenant: string): AsyncGenerator<string> {
  for await (const { group, payloads } of store.groups({ tenant })) yield `${JSON.stringify({ group, payloads })}\n`;
}
