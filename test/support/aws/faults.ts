/**
 * Three kinds of fault are of the network, and the same for each server:
 *
 * - `timeout`: no answer ever comes, and the connection stays open until the client gives up. Give the client little
 *   patience: `requestHandler: { requestTimeout: 100, throwOnRequestTimeout: true }`.
 * - `reset`: the connection is reset (ECONNRESET).
 * - `hold`: the request waits until {@link Fault.release}, also when its client has long gone. Held `before`, it is a
 *   request that arrives late; held `after`, an answer that comes late.
 */
export type NetworkFaultKind = "timeout" | "reset" | "hold";

/** Which requests a fault strikes, when, and what it does to them. What is left out matches everything. */
export interface FaultPlan<Operation extends string, Kind extends string> {
  readonly kind: Kind;
  /**
   * `before` (the default): the request has no effect, or with `hold`, not yet. `after`: it has taken effect, and the
   * fault comes in the place of the answer. Faults of a body know no `when`.
   */
  readonly when?: "before" | "after";
  /** By the API's name: `PutObject`, `Query` … */
  readonly operation?: Operation;
  /** The bucket or the table. */
  readonly resource?: string;
  /** The server's log says what a request's key is. */
  readonly key?: string | RegExp;
  /** Strikes this one among the requests that match from now on; 1 by default. An SDK's retry is a request too. */
  readonly nth?: number;
  /** How many matching requests in a row; 1 by default, `Infinity` until {@link Fault.remove}. */
  readonly times?: number;
}

/** A fault that was planned. */
export interface Fault {
  /** How many requests it has struck. */
  readonly hits: number;
  /** Resolves when it strikes for the first time; with `hold`, when a request waits. */
  readonly struck: Promise<void>;
  /** Lets go what `hold` holds, and no longer holds what comes. */
  release(): void;
  /** Strikes no more. What is held stays held. */
  remove(): void;
}

/** One request that is struck. */
export interface Strike<Plan> {
  readonly plan: Plan;
  /** Resolves with {@link Fault.release}. */
  readonly released: Promise<void>;
}

export interface FaultSchedule<Plan> {
  add(plan: Plan): Fault;
  /** To be asked once per request. Of several faults that match, all count the request and the oldest that is due strikes. */
  next(request: StrikableRequest): Strike<Plan> | undefined;
  /** Removes all faults, and lets go all that is held. */
  clear(): void;
}

export interface StrikableRequest {
  readonly operation: string;
  readonly resource: string | undefined;
  readonly key: string | undefined;
}

export function faultSchedule<Plan extends FaultPlan<string, string>>(): FaultSchedule<Plan> {
  const planned = new Set<PlannedFault<Plan>>();
  const releases = new Set<() => void>();

  return {
    add(plan) {
      const struck = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      const entry: PlannedFault<Plan> = {
        strike: { plan, released: released.promise },
        matched: 0,
        hits: 0,
        struck: () => struck.resolve(),
      };
      planned.add(entry);
      releases.add(released.resolve);
      return {
        get hits() {
          return entry.hits;
        },
        struck: struck.promise,
        release: () => released.resolve(),
        remove: () => void planned.delete(entry),
      };
    },
    next(request) {
      const due = [...planned].filter((entry) => isDue(entry, request));
      const [first] = due;
      if (first === undefined) return undefined;
      first.hits += 1;
      first.struck();
      return first.strike;
    },
    clear() {
      planned.clear();
      for (const release of releases) release();
      releases.clear();
    },
  };
}

interface PlannedFault<Plan> {
  readonly strike: Strike<Plan>;
  readonly struck: () => void;
  /** Requests that matched so far. */
  matched: number;
  hits: number;
}

function isDue(entry: PlannedFault<FaultPlan<string, string>>, request: StrikableRequest): boolean {
  const { operation, resource, key, nth = 1, times = 1 } = entry.strike.plan;
  if (operation !== undefined && operation !== request.operation) return false;
  if (resource !== undefined && resource !== request.resource) return false;
  if (key !== undefined && !matchesKey(key, request.key)) return false;

  entry.matched += 1;
  return entry.matched >= nth && entry.matched < nth + times;
}

/** Whether a request's key is the one, or fits the pattern. */
export function matchesKey(wanted: string | RegExp, key: string | undefined): boolean {
  if (key === undefined) return false;
  return typeof wanted === "string" ? wanted === key : key.search(wanted) >= 0;
}
