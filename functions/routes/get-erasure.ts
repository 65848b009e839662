import { erasureSchema, receiptJson } from "../erasures.ts";
import { refusal } from "../http-errors.ts";
import { json, type Route } from "./route.ts";

/** GET …/erasures/{erasure}: how far an erasure is, and in the end what became of every segment that held it. */
export const getErasure: Route = {
  description: {
    operationId: "getErasure",
    summary: "Follow an erasure",
    answers: { 200: { description: "Its receipt.", content: [{ kind: "json", schema: erasureSchema }] } },
    problems: ["CORRUPT", "UNSUPPORTED"],
  },
  access: { scope: "erase" },
  handle: async (_context, { tenant, erasure }, store) => {
    const found = await store.erasure({ tenant, erasure });
    return found ? json(receiptJson(found)) : refusal("NOT_FOUND", `no erasure ${JSON.stringify(erasure)}`);
  },
};
