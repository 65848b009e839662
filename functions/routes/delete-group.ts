import { refusal } from "../http-errors.ts";
import { json, type Handle } from "./route.ts";

/** DELETE …/groups/{group}: all of the group's payloads, and how many that were. 404 when there was none. */
export const deleteGroup: Handle = async (_context, { tenant, group }, store) => {
  const payloads = await store.deleteGroup({ tenant, group });
  return payloads > 0 ? json({ payloads }) : refusal("NOT_FOUND", `no group ${JSON.stringify(group)}`);
};
