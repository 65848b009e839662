import * as v from "valibot";
import { isPayloadStoreError, type PayloadStoreError } from "../../core/errors.ts";
import type { GroupKey } from "../../core/key.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import { statusOf } from "../http-errors.ts";
import { httpLimits } from "../http-limits.ts";
import { readBatch } from "../ndjson-batch.ts";
import type { PayloadLine } from "../ndjson-lines.ts";
import { readBody } from "../request-body.ts";
import { idempotencyKey, locationSchema, nameSchema, naturalSchema, payloadLineSchema } from "../schemas.ts";
import { json, type Route } from "./route.ts";

const storedMembers = { group: nameSchema, id: nameSchema, location: locationSchema };

const lineResultSchema = v.pipe(
  v.object({
    line: v.pipe(naturalSchema, v.description("counted from 1, blank lines included")),
    group: nameSchema,
    id: nameSchema,
    status: v.pipe(v.number(), v.integer(), v.description("what the line alone would have been answered with")),
    location: v.optional(locationSchema),
    code: v.optional(v.pipe(v.string(), v.description("of the problem, when it was not stored"))),
    detail: v.optional(v.string()),
  }),
  v.metadata({ ref: "LineResult" }),
);

type LineResult = v.InferOutput<typeof lineResultSchema>;

/**
 * POST /v1/{tenant}/payloads: an NDJSON batch over many groups. It is checked whole, then committed group by group; each
 * group is one commit, to which an Idempotency-Key belongs. 200 when all were stored, else 207 with what became of each line.
 */
export const appendBatches: Route = {
  description: {
    operationId: "appendBatches",
    summary: "Store a batch of payloads in many groups",
    description: "Checked whole before anything is stored, then one commit for each group.",
    headers: { "Idempotency-Key": idempotencyKey },
    body: { kind: "ndjson", schema: payloadLineSchema },
    answers: {
      200: {
        description: "All are stored and durable, in the order of the lines.",
        content: [{ kind: "json", schema: v.object({ payloads: v.array(v.object(storedMembers)) }) }],
      },
      207: {
        description: "Some groups failed: what became of each line.",
        content: [{ kind: "json", schema: v.object({ results: v.array(lineResultSchema) }) }],
      },
    },
    problems: ["TOO_LARGE"],
  },
  handle: async (context, { tenant }, store) => {
    const body = await readBody(context.req.raw, httpLimits.batchBodyBytesMax);
    const groups = await readBatch(body, "withGroup", store.payloadBytesMax);
    const results = await commitGroups(store, tenant, groups, context.req.header("idempotency-key"));
    const allStored = results.every(({ status }) => status === 200);
    if (allStored) return json({ payloads: results.map(({ group, id, location }) => ({ group, id, location })) });
    return json({ results }, 207);
  },
};

/** @returns a result for each line, by line number */
async function commitGroups(
  store: PayloadStore,
  tenant: string,
  groups: ReadonlyMap<string, readonly PayloadLine[]>,
  idempotencyKey: string | undefined,
): Promise<readonly LineResult[]> {
  const results: LineResult[] = [];
  const waiting = groups.entries();
  const worker = async (): Promise<void> => {
    // The workers share one iterator: each takes the next group that nobody has taken.
    for (const [group, lines] of waiting)
      results.push(...(await commitGroup(store, { tenant, group }, lines, idempotencyKey)));
  };
  await Promise.all(Array.from({ length: Math.min(groups.size, httpLimits.groupsInFlightMax) }, worker));
  return results.toSorted((a, b) => a.line - b.line);
}

async function commitGroup(
  store: PayloadStore,
  key: GroupKey & { readonly group: string },
  lines: readonly PayloadLine[],
  idempotencyKey: string | undefined,
): Promise<readonly LineResult[]> {
  const { group } = key;
  try {
    const locations = await store.appendMany(key, lines, { idempotencyKey });
    return lines.map(({ line, id }, i) => ({ line, group, id, status: 200, location: locations[i] }));
  } catch (error) {
    if (!isPayloadStoreError(error)) throw error;
    return lines.map(({ line, id }) => ({ line, group, id, ...failureOf(error) }));
  }
}

function failureOf({ code, message }: PayloadStoreError): Pick<LineResult, "status" | "code" | "detail"> {
  return { status: statusOf[code], code, detail: message };
}
