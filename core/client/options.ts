import { PayloadStoreError } from "../errors.ts";
import { checkKnown } from "../known-options.ts";
import { clientLimits } from "./client-limits.ts";
import type { Fetch } from "./platform.ts";
import type { TransportOptions } from "./transport.ts";

export interface ClientOptions {
  /** Where the server is: `https://paylode.example`, also with a path in front of `/v1`. */
  readonly url: string;
  /** Whose payloads. A client knows one tenant only. */
  readonly tenant: string;
  /** Sent as `Authorization: Bearer …`. Over `http:` everybody on the way can read it. */
  readonly key?: string | undefined;
  /** Instead of the platform's own: a proxy, a service binding, a test. */
  readonly fetch?: Fetch | undefined;
  /** Longest wait for one answer, or for one piece of a stream, in milliseconds; 30,000 by default: 64 MiB
   * take that long at 18 Mbit/s. */
  readonly attemptMs?: number | undefined;
  /** Longest time of a call with all its attempts, in milliseconds; 120,000 by default. Of a stream, until it begins. */
  readonly deadlineMs?: number | undefined;
  /** Attempts of a call, 1–64; 64 by default, where the deadline decides. */
  readonly attempts?: number | undefined;
}

const known: Readonly<Record<keyof ClientOptions, true>> = {
  url: true,
  tenant: true,
  key: true,
  fetch: true,
  attemptMs: true,
  deadlineMs: true,
  attempts: true,
};

/** @throws {PayloadStoreError} `INVALID` naming the option */
export function checkedOptions(options: ClientOptions): TransportOptions {
  checkKnown(options, known);
  const {
    key,
    attemptMs = clientLimits.attemptMsDefault,
    deadlineMs = clientLimits.deadlineMsDefault,
    attempts = clientLimits.attemptsMax,
  } = options;
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) throw invalid("key", "key must be visible ASCII characters");
  checkMs("attemptMs", attemptMs);
  checkMs("deadlineMs", deadlineMs);
  if (!(Number.isSafeInteger(attempts) && attempts >= 1 && attempts <= clientLimits.attemptsMax)) {
    throw invalid("attempts", `attempts must be 1–${clientLimits.attemptsMax}; got ${attempts}`);
  }
  return { url: checkedUrl(options.url), key, attemptMs, deadlineMs, attempts };
}

/** @throws {PayloadStoreError} `INVALID` unless it is a time that a call may take */
export function checkMs(field: string, ms: number): void {
  if (ms > 0 && ms <= clientLimits.deadlineMsMax) return;
  throw invalid(field, `${field} must be more than 0 and at most ${clientLimits.deadlineMsMax} ms; got ${ms}`);
}

function checkedUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalid("url", "url must be an address like https://paylode.example");
  }
  const isPlain = url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  if (!["http:", "https:"].includes(url.protocol) || !isPlain) {
    throw invalid("url", "url must begin with http: or https:, and hold no name, password, query or fragment");
  }
  return url.href.replace(/\/+$/, "");
}

export function invalid(field: string, message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field } });
}
