import { erasureSchema, receiptJson, selectorOf, selectorSchema } from "../erasures.ts";
import { readJson } from "../json-body.ts";
import { json, type Route } from "./route.ts";

/** Ids of a group, as JSON: 10,000 of 512 bytes, and some more where they are escaped. */
const selectorBytesMax = 6_291_456;

/** POST …/erasures: hides what is to be erased, and answers its receipt, which says from then on what becomes of it. */
export const erasePayloads: Route = {
  description: {
    operationId: "erasePayloads",
    summary: "Erase payloads, with a receipt",
    description: "It answers once no answer has any of them. Their bytes go with the next compactions.",
    body: { kind: "json", schema: selectorSchema },
    answers: {
      202: {
        description: "They are hidden, durably.",
        headers: { Location: "of the receipt" },
        content: [{ kind: "json", schema: erasureSchema }],
      },
    },
    problems: ["CONFLICT", "CORRUPT", "TOO_LARGE", "UNSUPPORTED"],
  },
  access: { scope: "erase" },
  handle: async (context, { tenant }, store) => {
    const selector = selectorOf(await readJson(context.req.raw, selectorSchema, selectorBytesMax));
    const erasure = await store.erase({ tenant, ...selector });
    const response = json(receiptJson(erasure), 202);
    response.headers.set("location", `/v1/${tenant}/erasures/${erasure.id}`);
    return response;
  },
};
