import { utf8Text } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import type { ErasureRecord } from "./erasure.ts";

const recordFormat = 0;

/** A record as JSON, as ledgers keep it. docs/format.md §15. */
export function encodeErasure(record: ErasureRecord): string {
  return JSON.stringify({ format: recordFormat, ...record });
}

/**
 * @param place  of the record, for messages
 * @throws {PayloadStoreError} `CORRUPT`; `UNSUPPORTED_VERSION` when a newer release wrote it
 */
export function decodeErasure(bytes: Uint8Array, place: string): ErasureRecord {
  let value: unknown;
  try {
    value = JSON.parse(utf8Text(bytes) ?? "");
  } catch {
    value = undefined;
  }
  const { format, ...record } = (value ?? {}) as Partial<ErasureRecord> & { readonly format?: unknown };
  if (typeof format === "number" && format > recordFormat) {
    const message = `${place} has format ${format}; this release reads format ${recordFormat}`;
    throw new PayloadStoreError("UNSUPPORTED_VERSION", message, { details: { found: format, expected: recordFormat } });
  }
  const lists = [record.unknown, record.segments, record.successors, record.pending];
  const texts = [record.tenant, record.id, record.state];
  const numbers = [record.version, record.requestedMs, record.groups, record.payloads];
  const isWhole =
    format === recordFormat &&
    typeof record.selector === "object" &&
    lists.every((list) => Array.isArray(list)) &&
    texts.every((text) => typeof text === "string") &&
    numbers.every((number) => Number.isSafeInteger(number));
  if (isWhole) return record as ErasureRecord;
  throw new PayloadStoreError("CORRUPT", `${place} is damaged: restore it from a copy, or ask for the erasure again`);
}

/** Oldest first. */
export function inOrder(records: readonly ErasureRecord[]): ErasureRecord[] {
  return records.toSorted((a, b) => a.requestedMs - b.requestedMs || (a.id < b.id ? -1 : 1));
}

/** Whether compaction has something to do about it still. */
export function isOpen({ state }: ErasureRecord): boolean {
  return state !== "gone";
}
