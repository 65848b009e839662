import { PayloadStoreError } from "../errors.ts";
import { checkKnown } from "../known-options.ts";
import type { CompactOptions } from "./compaction.ts";

const known: Readonly<Record<keyof CompactOptions, true>> = {
  tenant: true,
  graceMs: true,
  timeMsMax: true,
  bytesMax: true,
  requestsMax: true,
  dollarsMax: true,
  dryRun: true,
  mustGo: true,
  rules: true,
  onProgress: true,
  signal: true,
};

const knownRules: Readonly<Record<keyof NonNullable<CompactOptions["rules"]>, true>> = {
  deadShareMin: true,
  smallBytes: true,
  smallCountMin: true,
  tierAgesMs: true,
  baseBytes: true,
  baseEveryBytes: true,
  apartBytes: true,
  restMs: true,
  spreadMs: true,
};

const budgets = ["timeMsMax", "bytesMax", "requestsMax", "dollarsMax"] as const;

/**
 * Refuses what a run would ignore: a dry run that is misspelled would compact, a budget that is no number would have no end.
 * @throws {PayloadStoreError} `INVALID`
 */
export function checkCompactOptions(options: CompactOptions): void {
  checkKnown(options, known);
  checkKnown(options.rules ?? {}, knownRules);
  const { dryRun } = options;
  if (dryRun !== undefined && typeof dryRun !== "boolean") throw invalid("dryRun", "true or false", dryRun);
  for (const field of budgets) {
    const value: unknown = options[field];
    if (value === undefined || (typeof value === "number" && value >= 0)) continue;
    throw invalid(field, "a number from 0 on", value);
  }
}

/** @throws {PayloadStoreError} `INVALID` */
export function checkGrace(graceMs: number): void {
  if (!(typeof graceMs === "number" && graceMs >= 0)) throw invalid("graceMs", "milliseconds from 0 on", graceMs);
}

function invalid(field: string, expected: string, found: unknown): PayloadStoreError {
  return new PayloadStoreError("INVALID", `${field} must be ${expected}; got ${String(found)}`, { details: { field } });
}
