import * as v from "valibot";
import { PayloadStoreError } from "../core/errors.ts";
import { readBody } from "./request-body.ts";

/** Long enough for every description of a payload: names of 512 bytes and 4 KB of attributes, escaped. */
const jsonBodyBytesMax = 65_536;

/**
 * A request's body as JSON of a shape.
 * @throws {PayloadStoreError} `INVALID`, naming the member; `TOO_LARGE`
 */
export async function readJson<Schema extends v.GenericSchema>(
  request: Request,
  schema: Schema,
  bytesMax: number = jsonBodyBytesMax,
): Promise<v.InferOutput<Schema>> {
  const bytes = await readBody(request, bytesMax);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new PayloadStoreError("INVALID", "the body is not JSON in UTF-8", { cause });
  }
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = v.getDotPath(issue);
  throw new PayloadStoreError("INVALID", `${path === null ? "the body" : `\`${path}\``}: ${issue.message}`, {
    details: path === null ? {} : { field: path },
  });
}
