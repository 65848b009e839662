import { PayloadStoreError } from "./errors.ts";

/**
 * Refuses a name that is no option: from JavaScript, `durabilty: "fast"` would else be a store that is safe, in silence.
 * @throws {PayloadStoreError} `INVALID`, naming the options that there are
 */
export function checkKnown(options: object, known: Readonly<Record<string, true>>): void {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return;
  const names = Object.keys(known).toSorted().join(", ");
  throw new PayloadStoreError("INVALID", `there is no option ${JSON.stringify(unknown)}; there are ${names}`, {
    details: { field: unknown },
  });
}
