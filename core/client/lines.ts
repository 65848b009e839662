import { utf8, utf8Text } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { checkedExpiry } from "../expiry.ts";
import { checkPayloadInput } from "../payload-input.ts";
import type { Attributes, PayloadInput } from "../payload.ts";
import { limits } from "../limits.ts";
import { base64Of, bytesOfBase64 } from "./base64.ts";
import { expiryIn } from "./payload-answer.ts";

/** A payload for a batch. Its codec is the store's choice: lines have no word for it. */
export type ClientPayloadInput = Omit<PayloadInput, "codec">;

/** A payload of a group that is read as a whole. */
export interface ClientContent {
  readonly group: string;
  readonly id: string;
  /** Length in bytes. */
  readonly bytes: number;
  readonly contentType?: string | undefined;
  readonly attributes?: Attributes | undefined;
  readonly expiresMs?: number | undefined;
  readonly body: Uint8Array;
}

interface LineNames {
  /** Absent where the path names it. */
  readonly group?: string;
  readonly id: string;
}

/**
 * A payload as a line of a batch, with its newline: "text" where the bytes are UTF-8 and JSON keeps them short, else
 * "base64". docs/http.md §7.
 *
 * @throws {PayloadStoreError} `INVALID` or `TOO_LARGE`, as the server would refuse it
 */
export function encodeLine(names: LineNames, input: ClientPayloadInput): Uint8Array {
  checkPayloadInput(input, limits.payloadBytesMax);
  if ((input as PayloadInput).codec !== undefined) {
    const details = { field: "codec" };
    throw new PayloadStoreError("INVALID", "a payload of a batch names no codec: append it alone", { details });
  }
  const { bytes, contentType, attributes, retention } = input;
  const expiresAt = checkedExpiry(input.expiresAt);
  const text = utf8Text(bytes);
  if (text !== undefined) {
    const line = utf8(
      `${JSON.stringify({ ...names, text, contentType: contentType ?? null, attributes, expiresAt, retention })}\n`,
    );
    // Control characters take six bytes each in JSON, base64 takes four for three.
    if (line.length <= 2 * bytes.length + 1024) return line;
  }
  return utf8(
    `${JSON.stringify({ ...names, base64: base64Of(bytes), contentType, attributes, expiresAt, retention })}\n`,
  );
}

/** @throws {PayloadStoreError} `INVALID` when the line is none of an export */
export function decodeLine(bytes: Uint8Array): ClientContent {
  const { group, id, text, base64, contentType, attributes, expiresAt } = parsedLine(bytes) as Partial<ExportLine>;
  const body = text === undefined ? bytesOfBase64(base64 ?? "") : utf8(text);
  if (group === undefined || id === undefined || (text ?? base64) === undefined || !body) throw noLine();
  const expiresMs = expiryIn(expiresAt);
  return { group, id, bytes: body.length, contentType: contentType ?? undefined, attributes, expiresMs, body };
}

interface ExportLine {
  readonly group: string;
  readonly id: string;
  readonly text: string;
  readonly base64: string;
  readonly contentType: string | null;
  readonly attributes: Attributes;
  readonly expiresAt: string;
}

/** A line of an answer as the JSON object that it is. */
export function parsedLine(bytes: Uint8Array): object {
  try {
    const value: unknown = JSON.parse(utf8Text(bytes) ?? "");
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Falls through to the same refusal.
  }
  throw noLine();
}

function noLine(): PayloadStoreError {
  return new PayloadStoreError("INVALID", "the answer holds a line that is none of Paylode's");
}
