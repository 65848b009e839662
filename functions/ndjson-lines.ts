import * as v from "valibot";
import { utf8, utf8Text } from "../core/bytes.ts";
import { PayloadStoreError, isPayloadStoreError } from "../core/errors.ts";
import { isWellFormed, resolveName } from "../core/key.ts";
import type { NumberedLine } from "../core/line-splitter.ts";
import type { Attributes, PayloadInput } from "../core/payload.ts";
import { checkPayloadInput } from "../core/payload-input.ts";
import { parseExactJson } from "./exact-json.ts";
import { expiryOf, expiryText } from "./expiry.ts";
import { httpLimits } from "./http-limits.ts";

/**
 * One line of an import or a batch: a name and a payload, as one JSON object.
 *
 *     {"group","id", exactly one of "text" | "json" | "base64", "contentType"?, "attributes"?, "expiresAt"? or "retention"?}
 *
 * "payload" may stand for "text". `"contentType": null` says that there is none, where "text" and "json" would bring one.
 */
export interface PayloadLine extends PayloadInput {
  readonly line: number;
  /** Empty where the path names the group. */
  readonly group: string;
  readonly id: string;
}

/** Whether lines name their group, or the path does. */
export type LineKind = "withGroup" | "withoutGroup";

const textType = "text/plain; charset=utf-8";
const jsonType = "application/json";

/** @throws {PayloadStoreError} `INVALID` or `TOO_LARGE`, with the line's number in message and details */
export function parseLine({ number, bytes }: NumberedLine, kind: LineKind, payloadBytesMax: number): PayloadLine {
  try {
    const line = checkedLine(parseObject(bytes), kind);
    const group = kind === "withGroup" ? resolveName("group", line.group ?? "") : "";
    const content = contentOf(line);
    checkPayloadInput(content, payloadBytesMax);
    return { line: number, group, id: resolveName("id", line.id), ...content };
  } catch (error) {
    if (!isPayloadStoreError(error)) throw error;
    throw atLine(number, error);
  }
}

/** The same error, with the line it is about. */
export function atLine(line: number, error: PayloadStoreError): PayloadStoreError {
  const details = { ...error.details, line };
  return new PayloadStoreError(error.code, `line ${line}: ${error.message}`, { cause: error, details });
}

/** What a line tells of a stored payload. */
export interface StoredLine {
  readonly group?: string | undefined;
  readonly id: string;
  readonly body: Uint8Array;
  readonly contentType?: string | undefined;
  readonly attributes?: Attributes | undefined;
  readonly expiresMs?: number | undefined;
}

/**
 * A stored payload as a line that gives exactly it back: "text" when its bytes are UTF-8, else "base64".
 * No newline at the end.
 */
export function formatLine(payload: StoredLine): string {
  const { group, id, body, contentType, attributes, expiresMs } = payload;
  const expiresAt = expiresMs === undefined ? undefined : expiryText(expiresMs);
  const text = utf8Text(body);
  if (text !== undefined) {
    const line = JSON.stringify({ group, id, text, contentType: contentType ?? null, attributes, expiresAt });
    // Control characters take six bytes each in JSON: a large payload of them would not fit a line.
    if (line.length <= httpLimits.batchBodyBytesMax / 3) return line;
  }
  return JSON.stringify({ group, id, base64: base64Of(body), contentType, attributes, expiresAt });
}

const wellFormed = v.pipe(
  v.string("must be a string"),
  v.check(isWellFormed, "holds a lone surrogate, which UTF-8 cannot spell"),
);

const lineSchema = v.object({
  group: v.optional(wellFormed),
  id: wellFormed,
  text: v.optional(wellFormed),
  payload: v.optional(wellFormed),
  json: v.optional(v.unknown()),
  base64: v.optional(v.string("must be a string")),
  contentType: v.optional(v.nullable(v.string("must be a string or null"))),
  // Not v.record, which drops names like "constructor" without a word. The store checks the values.
  attributes: v.optional(v.custom<Attributes>(isPlainObject, "must be an object of strings")),
  expiresAt: v.optional(v.union([v.string(), v.number()], "must be a time as ISO 8601, or in milliseconds since 1970")),
  retention: v.optional(v.string("must be a string")),
});

type Line = v.InferOutput<typeof lineSchema>;

export type LineMember = keyof typeof lineSchema.entries;

const contentMembers = ["text", "payload", "json", "base64"] as const;
const members: ReadonlySet<string> = new Set(Object.keys(lineSchema.entries));

function parseObject(bytes: Uint8Array): object {
  const text = utf8Text(bytes);
  if (text === undefined) throw invalid("not valid UTF-8");
  let value: unknown;
  try {
    value = parseExactJson(text);
  } catch {
    throw invalid("not a JSON object");
  }
  if (!isPlainObject(value)) throw invalid("not a JSON object");
  return value;
}

function isPlainObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkedLine(value: object, kind: LineKind): Line {
  for (const name of Object.keys(value)) {
    if (!members.has(name)) throw invalid(`unknown member ${JSON.stringify(name.slice(0, 80))}`);
  }
  if (kind === "withoutGroup" && Object.hasOwn(value, "group"))
    throw invalid('"group" stands in the path, not in the line');
  const given = contentMembers.filter((name) => Object.hasOwn(value, name));
  if (given.length !== 1) {
    const got = given.length === 0 ? "none" : given.map((name) => `"${name}"`).join(" and ");
    throw invalid(`exactly one of "text", "json" and "base64" must be given; got ${got}`);
  }
  for (const name of kind === "withGroup" ? ["group", "id"] : ["id"]) {
    if (!Object.hasOwn(value, name)) throw invalid(`"${name}" is missing`);
  }
  const result = v.safeParse(lineSchema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw invalid(`"${v.getDotPath(issue) ?? "line"}" ${issue.message}`);
}

function contentOf(line: Line): PayloadInput {
  const [bytes, defaultType] = bytesOf(line);
  const contentType = line.contentType === undefined ? defaultType : (line.contentType ?? undefined);
  return {
    bytes,
    contentType,
    attributes: line.attributes,
    expiresAt: expiryOf(line.expiresAt),
    retention: line.retention,
  };
}

function bytesOf(line: Line): readonly [bytes: Uint8Array, defaultType: string | undefined] {
  const text = line.text ?? line.payload;
  if (text !== undefined) return [utf8(text), textType];
  if (line.base64 !== undefined) return [bytesOfBase64(line.base64), undefined];
  return [utf8(jsonText(line.json)), jsonType];
}

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    // Parsing does not recurse, writing does: an array of 100,000 brackets can be read and not written.
    throw new PayloadStoreError("INVALID", '"json" is nested too deeply', { cause });
  }
}

/** Standard alphabet, padding as it must be, no bit that would be lost: what is decoded encodes to the same text. */
function bytesOfBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text)
    throw invalid('"base64" is not base64 in the standard alphabet with its padding');
  return bytes;
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function invalid(message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message);
}
