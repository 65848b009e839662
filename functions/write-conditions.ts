import { PayloadStoreError } from "../core/errors.ts";

/**
 * Whether a write is to create only: `If-None-Match: *`. A condition that is ignored is worse than one that is refused.
 * @throws {PayloadStoreError} `INVALID` for every other condition
 */
export function createsOnly(header: (name: string) => string | undefined): boolean {
  for (const name of ["if-match", "if-unmodified-since", "content-range"]) {
    if (header(name) !== undefined) throw new PayloadStoreError("INVALID", `${name} is not supported here`);
  }
  const condition = header("if-none-match")?.trim();
  if (condition === undefined) return false;
  if (condition === "*") return true;
  throw new PayloadStoreError("INVALID", "If-None-Match can only be * here: it creates, or answers 412");
}
