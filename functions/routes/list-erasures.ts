import * as v from "valibot";
import { erasureSchema, receiptJson } from "../erasures.ts";
import { json, type Route } from "./route.ts";

/** GET …/erasures: the receipts of a tenant. */
export const listErasures: Route = {
  description: {
    operationId: "listErasures",
    summary: "List the erasures of a tenant",
    answers: {
      200: {
        description: "Oldest first.",
        content: [{ kind: "json", schema: v.object({ erasures: v.array(erasureSchema) }) }],
      },
    },
    problems: ["CORRUPT", "UNSUPPORTED"],
  },
  access: { scope: "erase" },
  handle: async (_context, { tenant }, store) => {
    return json({ erasures: (await store.erasures({ tenant })).map(receiptJson) });
  },
};
