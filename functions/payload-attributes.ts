import { PayloadStoreError } from "../core/errors.ts";
import type { Attributes } from "../core/payload.ts";

const header = "paylode-attributes";

/**
 * Attributes as a header: `application/x-www-form-urlencoded`, which takes three bytes for one at most, so that the most
 * that a payload may have fit what servers and clients take of headers.
 */
export function attributesHeader(attributes: Attributes | undefined): Readonly<Record<string, string>> {
  return attributes === undefined ? {} : { [header]: new URLSearchParams(attributes).toString() };
}

/** @throws {PayloadStoreError} `INVALID` when a name comes twice. The store checks the rest. */
export function attributesIn(given: (name: string) => string | undefined): Attributes | undefined {
  const text = given(header);
  if (text === undefined) return undefined;
  const pairs = [...new URLSearchParams(text)];
  const attributes = Object.fromEntries(pairs);
  if (Object.keys(attributes).length === pairs.length) return attributes;
  throw new PayloadStoreError("INVALID", "Paylode-Attributes has a name twice", { details: { field: "attributes" } });
}
