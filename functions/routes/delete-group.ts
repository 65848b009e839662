import * as v from "valibot";
import { refusal } from "../http-errors.ts";
import { idempotencyKey, naturalSchema } from "../schemas.ts";
import { json, type Route } from "./route.ts";

/** DELETE …/groups/{group}: all of the group's payloads, and how many that were. 404 when there was none. */
export const deleteGroup: Route = {
  description: {
    operationId: "deleteGroup",
    summary: "Delete all payloads of a group",
    headers: { "Idempotency-Key": idempotencyKey },
    answers: {
      200: {
        description: "They are deleted, durably; so many there were.",
        content: [{ kind: "json", schema: v.object({ payloads: naturalSchema }) }],
      },
    },
    problems: ["NOT_FOUND", "CONFLICT", "KEY_REUSED"],
  },
  handle: async (context, { tenant, group }, store) => {
    const options = { idempotencyKey: context.req.header("idempotency-key") };
    const payloads = await store.deleteGroup({ tenant, group }, options);
    return payloads > 0 ? json({ payloads }) : refusal("NOT_FOUND", `no group ${JSON.stringify(group)}`);
  },
};
