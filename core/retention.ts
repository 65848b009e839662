import { PayloadStoreError } from "./errors.ts";
import { limits } from "./limits.ts";

/** How long payloads are kept, in whole milliseconds from their commit on; 0 for ever. */
export interface RetentionClasses {
  /** Those that name neither a class nor an expiry; 0 by default. */
  readonly defaultMs?: number | undefined;
  /** Those that name a class, by its name. */
  readonly classesMs: Readonly<Record<string, number>>;
}

/** Of each tenant: a time for all its payloads, or times by class. */
export type Retention = (tenant: string) => number | RetentionClasses;

/** Retention as a store goes by it. */
export class RetentionRules {
  readonly #of: (tenant: string) => RetentionClasses;

  /** @throws {PayloadStoreError} `INVALID` for times that are none; of a function, when it answers them */
  constructor(retentionMs: number | RetentionClasses | Retention = 0) {
    if (typeof retentionMs === "function") {
      this.#of = (tenant) => checked(retentionMs(tenant));
      return;
    }
    const rules = checked(retentionMs);
    this.#of = () => rules;
  }

  /** Of payloads that say nothing themselves, in milliseconds; 0 for ever. */
  defaultMs(tenant: string): number {
    return this.#of(tenant).defaultMs ?? 0;
  }

  /**
   * Of a class, in milliseconds; 0 for ever.
   * @throws {PayloadStoreError} `INVALID`, naming the classes that there are
   */
  classMs(tenant: string, name: string): number {
    const { classesMs } = this.#of(tenant);
    const ms = typeof name === "string" && Object.hasOwn(classesMs, name) ? classesMs[name] : undefined;
    if (ms !== undefined) return ms;
    const known = Object.keys(classesMs);
    const there = known.length === 0 ? "there are none" : `there are ${known.join(", ")}`;
    throw new PayloadStoreError("INVALID", `there is no retention class ${JSON.stringify(name)}: ${there}`, {
      details: { field: "retention", known: known.join(", ") },
    });
  }

  /** What keeps payloads for so long: the first class that does, `_default`, or `_own` where nothing does. */
  nameOf(tenant: string, keptMs: number): string {
    const { defaultMs, classesMs } = this.#of(tenant);
    const found = Object.keys(classesMs).find((name) => classesMs[name] === keptMs);
    return found ?? (defaultMs === keptMs ? defaultName : ownName);
  }
}

/** Not names of classes: what says nothing, and what came with an expiry of its own. */
const defaultName = "_default";
const ownName = "_own";

/** What names a class: it stands in headers and on command lines. */
const namePattern = /^[a-z0-9][a-z0-9_.-]{0,62}$/i;

function checked(retention: number | RetentionClasses): RetentionClasses {
  const rules = typeof retention === "object" ? retention : { defaultMs: retention, classesMs: {} };
  const { defaultMs = 0, classesMs } = rules;
  for (const ms of [defaultMs, ...Object.values(classesMs)]) {
    if (Number.isSafeInteger(ms) && ms >= 0 && ms <= limits.retentionMsMax) continue;
    const message = `retentionMs must be whole milliseconds, 0–${limits.retentionMsMax}; got ${ms}`;
    throw new PayloadStoreError("INVALID", message, { details: { field: "retentionMs" } });
  }
  for (const name of Object.keys(classesMs)) {
    if (namePattern.test(name)) continue;
    const message = `a retention class is named by 1–63 letters, digits, "_", "." and "-"; got ${JSON.stringify(name)}`;
    throw new PayloadStoreError("INVALID", message, { details: { field: "retentionMs" } });
  }
  return rules;
}
