import { utf8Length } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { isWellFormed } from "../key.ts";
import { limits } from "../limits.ts";
import type { Attributes, PageEntry } from "./page.ts";

/** An attribute with its value: what payloads are found by. */
export type Term = readonly [name: string, value: string];

/**
 * The attributes of a page's payloads, each once. Cost: a look at each entry where they have none.
 * @param only  the names that are asked for; all by default
 */
export function termsOf(page: { readonly entries: readonly PageEntry[] }, only?: ReadonlySet<string>): Term[] {
  const terms: Term[] = [];
  const seen = new Map<string, Set<string>>();
  for (const { attributes } of page.entries) {
    if (!attributes) continue;
    for (const name of Object.keys(attributes)) {
      if (only && !only.has(name)) continue;
      const value = attributes[name]!;
      const values = seen.get(name);
      if (values?.has(value)) continue;
      if (values) values.add(value);
      else seen.set(name, new Set([value]));
      terms.push([name, value]);
    }
  }
  return terms;
}

/** Whether attributes have all these values. */
export function hasTerms(attributes: Attributes | undefined, terms: readonly Term[]): boolean {
  return attributes !== undefined && terms.every(([name, value]) => valueOf(attributes, name) === value);
}

/** @throws {PayloadStoreError} `INVALID` unless it names 1–32 attributes, with values that a payload may have */
export function termsOfQuestion(where: Attributes): readonly Term[] {
  const terms: readonly (readonly [string, unknown])[] =
    typeof where === "object" && where !== null ? Object.entries(where) : [];
  if (terms.length < 1 || terms.length > limits.attributesCountMax) {
    throw invalid(`where must name 1–${limits.attributesCountMax} attributes; got ${terms.length}`);
  }
  let bytes = 0;
  return terms.map(([name, value]): Term => {
    if (typeof value !== "string" || name === "" || !isWellFormed(name) || !isWellFormed(value)) {
      throw invalid(`where: attribute ${JSON.stringify(name)} must be named and have well-formed text`);
    }
    bytes += utf8Length(name) + utf8Length(value);
    if (bytes > limits.attributesBytesMax) {
      throw invalid(`where has more than ${limits.attributesBytesMax} bytes, which no payload's attributes have`);
    }
    return [name, value];
  });
}

/** What is inherited, like `constructor`, is no attribute. */
function valueOf(attributes: Attributes, name: string): string | undefined {
  return Object.hasOwn(attributes, name) ? attributes[name] : undefined;
}

function invalid(message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field: "where" } });
}
