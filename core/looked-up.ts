import { isPayloadStoreError, PayloadStoreError, throwIfAborted } from "./errors.ts";
import { describeKey } from "./lookup.ts";

/** What is looked for, in messages. */
export interface Named {
  readonly group: string;
  readonly id?: string;
}

/** Looks of one answer: more often than this nobody compacts what is being read, unless its reader is stopped each time. */
const looksMax = 8;

/**
 * A segment that went away meanwhile was compacted, and the index names its successor; one that it names again is lost.
 * It is answered at once where the first look is.
 */
export function lookUp<T>(named: Named | undefined, look: () => T | Promise<T>, signal?: AbortSignal): T | Promise<T> {
  throwIfAborted(signal);
  try {
    const looking = look();
    return looking instanceof Promise ? looking.catch((error) => lookAgain(error, named, look, signal)) : looking;
  } catch (error) {
    return lookAgain(error, named, look, signal);
  }
}

/** As {@link lookUp}, for who waits for it anyway. */
export async function lookedUp<T>(
  named: Named | undefined,
  look: () => T | Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return lookUp(named, look, signal);
}

/** @param first  why the first look failed */
async function lookAgain<T>(
  first: unknown,
  named: Named | undefined,
  look: () => T | Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const key = named && (named.id === undefined ? { group: named.group } : { group: named.group, id: named.id });
  const gone = new Set<unknown>();
  for (let error = first; ;) {
    if (!isPayloadStoreError(error, "GONE")) throw error;
    const segment = error.details["key"] ?? error.details["segment"];
    if (gone.has(segment)) throw segmentIsGone(error, key);
    gone.add(segment);
    if (gone.size === looksMax) break;
    throwIfAborted(signal);
    try {
      return await look();
    } catch (again) {
      error = again;
    }
  }
  const what = key ? describeKey(key) : "a page";
  throw new PayloadStoreError("UNAVAILABLE", `${what} was compacted ${looksMax} times while it was read`);
}

/** Lost: what it held is never called absent. */
export function segmentIsGone(error: PayloadStoreError, key?: Named): PayloadStoreError {
  const subject = key ? `${describeKey(key)}: ` : "";
  const message = `${subject}the index names a segment that is gone: ${error.message}`;
  return new PayloadStoreError("CORRUPT", message, { cause: error, details: { ...error.details, ...key } });
}
