import { matchesKey } from "./faults.ts";

/** What is known of each request that reached a server; a retry of the SDK is one more. */
export interface LoggedRequest<Operation extends string = string> {
  /** By the API's name: `PutObject`, `Query` … */
  readonly operation: Operation;
  /** The bucket or the table. */
  readonly resource: string | undefined;
  /**
   * S3: the object's key, of a listing its prefix. DynamoDB: `pk#sk` of one item, of a query its first string value,
   * which is the partition key.
   */
  readonly key: string | undefined;
  /** Bytes of the body that came in, as they are to be stored: without framing. */
  readonly requestBytes: number;
  /** Bytes of the body that was answered; of one that was cut, those that were sent. 0 until it is answered. */
  readonly responseBytes: number;
  /** `undefined` until it is answered, and for ever if it never is. */
  readonly status: number | undefined;
  /** The error's code, if an error was answered. */
  readonly errorCode: string | undefined;
  /** The kind of the fault that struck it. */
  readonly fault: string | undefined;
}

export interface RequestFilter<Operation extends string = string> {
  readonly operation?: Operation;
  readonly resource?: string;
  readonly key?: string | RegExp;
}

/** The requests of a server in the order of their arrival. */
export interface RequestLog<Entry extends LoggedRequest> {
  /** Those that match; all of them without a filter. */
  entries(filter?: RequestFilter<Entry["operation"]>): readonly Entry[];
  /** How many match. */
  count(filter?: RequestFilter<Entry["operation"]>): number;
  clear(): void;
}

/** A log, and how it is written: an entry is added at the arrival, and what is known later is filled in by what `add` gives. */
export function requestLog<Entry extends LoggedRequest>(): RequestLog<Entry> & WritableLog<Entry> {
  let all: Entry[] = [];
  const entries = (filter: RequestFilter = {}): readonly Entry[] =>
    all.filter(
      ({ operation, resource, key }) =>
        (filter.operation === undefined || filter.operation === operation) &&
        (filter.resource === undefined || filter.resource === resource) &&
        (filter.key === undefined || matchesKey(filter.key, key)),
    );
  return {
    add(arrived) {
      const entry = { ...arrived };
      all.push(entry);
      return (known) => void Object.assign(entry, known);
    },
    entries,
    count: (filter) => entries(filter).length,
    clear: () => void (all = []),
  };
}

interface WritableLog<Entry> {
  add(arrived: Entry): (known: Partial<Entry>) => void;
}

/** What nobody knows yet when a request arrives. */
export const unanswered = { requestBytes: 0, responseBytes: 0, status: undefined, errorCode: undefined } as const;
