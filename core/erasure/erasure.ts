import { PayloadStoreError } from "../errors.ts";
import { type PayloadId, resolveName } from "../key.ts";
import { checkKnown } from "../known-options.ts";
import { limits } from "../limits.ts";
import type { Attributes } from "../page/page.ts";

/** What is to be erased: the payloads that fit all that is said. */
export interface ErasureSelector {
  /** Only of this group. */
  readonly group?: PayloadId | undefined;
  /** Only these ids of the group, at most 10,000. */
  readonly ids?: readonly PayloadId[] | undefined;
  /** Only those with these attributes, such as the subject they are about. */
  readonly where?: Attributes | undefined;
  /** Only those committed from then on, milliseconds since 1970. */
  readonly fromMs?: number | undefined;
  /** Only those committed before then, milliseconds since 1970. */
  readonly toMs?: number | undefined;
  /** Everything that the tenant has: to be said, so that nobody asks for it by leaving out the rest. */
  readonly everything?: true | undefined;
}

/** A selector as it is kept: names are text. */
export interface ErasureWish extends ErasureSelector {
  readonly group?: string | undefined;
  readonly ids?: readonly string[] | undefined;
}

/**
 * How far an erasure is. `hiding`: some of it may still be answered. From `hidden` on nothing of it is. `compacting`: segments
 * that held it are read. `waiting`: they are kept for those who still read them. `gone`: they are removed.
 */
export type ErasureState = "hiding" | "hidden" | "compacting" | "waiting" | "gone";

/** A segment that held some of it when it was hidden, be it overwritten or deleted before. */
export interface ErasedSegment {
  readonly segment: string;
  readonly state: "held" | "waiting" | "gone";
  /** SHA-256 of the whole segment, 64 hex digits, before it was removed. */
  readonly sha256?: string | undefined;
  /** Why it could not be compacted yet. */
  readonly reason?: string | undefined;
}

/** A segment into which was written again what was not to be erased. */
export interface SuccessorSegment {
  readonly segment: string;
  /** SHA-256 of the whole segment, once it does not grow any more. */
  readonly sha256?: string | undefined;
}

/** An erasure that was asked for, and what became of it: the receipt. It holds names, no byte of a payload. */
export interface Erasure {
  readonly tenant: string;
  /** 12 hex digits, unique in the tenant. */
  readonly id: string;
  readonly state: ErasureState;
  readonly selector: ErasureWish;
  readonly requestedMs: number;
  /** Since when no answer has any of it. */
  readonly hiddenMs?: number | undefined;
  /** Since when no segment has any of it. */
  readonly goneMs?: number | undefined;
  /** Groups that were looked into, and payloads that were hidden, so far. */
  readonly groups: number;
  readonly payloads: number;
  /** Ids that were asked for by name and are unknown: never stored, or not there any more. */
  readonly unknown: readonly string[];
  readonly segments: readonly ErasedSegment[];
  /** Segments that held some of it beyond those that are listed: a receipt has room for so many. */
  readonly unlisted?: number | undefined;
  readonly successors: readonly SuccessorSegment[];
  /** Why nothing can be said of it yet, where damage is the reason. */
  readonly reason?: string | undefined;
}

/** An erasure as a ledger keeps it. */
export interface ErasureRecord extends Erasure {
  /** Of the record, from 1. */
  readonly version: number;
  /** Groups that are being hidden: what they are in is looked up again if that ends halfway. */
  readonly pending: readonly string[];
  /** How far it is, where several processes write. */
  readonly shared?: SharedErasure | undefined;
}

/** What compaction notes of an erasure where rows of a table tell what is alive. docs/decisions/0028. */
export interface SharedErasure {
  /** Whatever has some of it was stored before then, milliseconds since 1970 by dates of servers. */
  readonly cutMs: number;
  /** Name of the last segment whose frames were compared with the rows; all of them are once `surveyed`. */
  readonly surveyedTo: string;
  readonly surveyed: boolean;
  /** All segments that were stored before `cutMs` have to go. */
  readonly takesAll: boolean;
}

const known: Readonly<Record<keyof ErasureSelector | "tenant", true>> = {
  tenant: true,
  group: true,
  ids: true,
  where: true,
  fromMs: true,
  toMs: true,
  everything: true,
};

/** @throws {PayloadStoreError} `INVALID` */
export function resolveSelector(selector: ErasureSelector): ErasureWish {
  // One that is misspelled would be left out, and more be erased than is meant.
  checkKnown(selector, known);
  const { group, ids, where, fromMs, toMs, everything } = selector;
  const named = { group, ids, where, fromMs, toMs };
  const isLimited = Object.values(named).some((value) => value !== undefined);
  if (isLimited === (everything === true)) {
    throw invalid("everything", "say which payloads are to be erased, or `everything` alone");
  }
  if (ids && group === undefined) throw invalid("ids", "`ids` are those of a `group`: name it");
  if (ids && (ids.length < 1 || ids.length > limits.commitPayloadsMax)) {
    throw invalid("ids", `an erasure names 1–${limits.commitPayloadsMax} ids; got ${ids.length}`);
  }
  for (const ms of [fromMs, toMs]) {
    if (ms !== undefined && !(Number.isSafeInteger(ms) && ms >= 0)) {
      throw invalid("fromMs", "a time is whole milliseconds since 1970");
    }
  }
  if (where && (Object.keys(where).length === 0 || Object.values(where).some((value) => typeof value !== "string"))) {
    throw invalid("where", "`where` is one attribute or more, each with its value");
  }
  return {
    ...named,
    group: group === undefined ? undefined : resolveName("group", group),
    ids: ids && [...new Set(ids.map((id) => resolveName("id", id)))],
    everything,
  };
}

/** Whether a payload is meant, by what is known of it. */
export function isSelected(
  { ids, where = {}, fromMs = 0, toMs = Infinity }: ErasureWish,
  payload: { readonly id: string; readonly timeMs: number; readonly attributes?: Attributes | undefined },
): boolean {
  if (ids && !ids.includes(payload.id)) return false;
  const { attributes = {} } = payload;
  const hasAll = Object.entries(where).every(
    ([name, value]) => Object.hasOwn(attributes, name) && attributes[name] === value,
  );
  return hasAll && payload.timeMs >= fromMs && payload.timeMs < toMs;
}

/** Whether all that a group has is meant. */
export function takesGroups({ ids, where, fromMs, toMs }: ErasureWish): boolean {
  return ids === undefined && where === undefined && fromMs === undefined && toMs === undefined;
}

/** What its owner is told of a record. */
export function receiptOf({ version: _, pending: __, shared: ___, ...erasure }: ErasureRecord): Erasure {
  return erasure;
}

function invalid(field: string, message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field } });
}
