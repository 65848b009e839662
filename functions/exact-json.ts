/**
 * JSON text → value, for values that are written out again: numbers that a double cannot hold keep their spelling, or an
 * id like 12345678901234567890 would come back as another id. `JSON.stringify` gives the digits back.
 *
 * @throws {SyntaxError} when the text is not JSON
 */
export function parseExactJson(text: string): unknown {
  // Nearly no line needs the slow way: only one with a long run of digits, or with an exponent, can hold such a number.
  return /\d{16}|\d[eE]/.test(text) ? JSON.parse(text, keepSpelling as Reviver) : JSON.parse(text);
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown;

function keepSpelling(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  const isOutOfReach = typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER;
  return isOutOfReach && context.source !== undefined ? rawJson(context.source) : value;
}

/** ES2026's `JSON.rawJSON`, in Node since 22 and in TypeScript's library not yet. */
const rawJson = (JSON as unknown as { rawJSON(this: void, text: string): unknown }).rawJSON;
