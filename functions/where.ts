import { PayloadStoreError } from "../core/errors.ts";
import type { Attributes } from "../core/payload.ts";

/**
 * The attributes that a URL's query asks for: each `where` is `name:value`, sent as any value of a query is. What follows the
 * first colon is the value, so that values need no care; a colon in the name is written `%3A`, and a percent sign `%25`, before
 * that.
 *
 * @throws {PayloadStoreError} `INVALID` for what is not percent-encoded UTF-8, has no colon, or names an attribute twice
 */
export function whereIn(url: string): Attributes {
  const query = /^[^?#]*\?([^#]*)/.exec(url)?.[1] ?? "";
  const where = new Map<string, string>();
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    if (decoded(equals < 0 ? pair : pair.slice(0, equals)) !== "where") continue;
    const [name, value] = termOf(equals < 0 ? "" : decoded(pair.slice(equals + 1)));
    if (where.has(name))
      throw invalid(`where names ${JSON.stringify(name)} twice, and no payload has two values of it`);
    where.set(name, value);
  }
  if (where.size === 0) throw invalid("where is missing: ask for ?where=name:value");
  return Object.fromEntries(where);
}

function termOf(text: string): readonly [name: string, value: string] {
  const colon = text.indexOf(":");
  if (colon < 1) throw invalid(`where must be name:value; got ${JSON.stringify(text)}`);
  const name = text.slice(0, colon);
  return [name.includes("%") ? percentDecoded(name) : name, text.slice(colon + 1)];
}

/** A name or a value of a query, in which a plus sign is a space. */
function decoded(text: string): string {
  return percentDecoded(text.replaceAll("+", " "));
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid("the query is not percent-encoded UTF-8");
  }
}

function invalid(message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field: "where" } });
}
