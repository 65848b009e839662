import type { PayloadStoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { ClientKey } from "./client-key.ts";
import { clientLimits } from "./client-limits.ts";
import { checkMs, invalid } from "./options.ts";

export interface WriterOptions {
  /** Payloads of a batch; 256 by default, at most 10,000. */
  readonly maxPayloads?: number | undefined;
  /** Bytes of a batch as lines; 1 MiB by default. A payload that is longer is a batch of its own. */
  readonly maxBytes?: number | undefined;
  /** How long a payload waits for others, in milliseconds; 100 by default. */
  readonly maxDelayMs?: number | undefined;
  /** Bytes that may wait; 16 MiB by default. Beyond that `write` refuses until some are acknowledged. */
  readonly maxPendingBytes?: number | undefined;
  /** How long a batch is tried, in milliseconds; 300,000 by default. */
  readonly deadlineMs?: number | undefined;
  /** Gets each payload that was not stored, for those who do not await `write`. */
  readonly onError?: ((error: PayloadStoreError, key: ClientKey) => void) | undefined;
  /** Is told at once what to call when the process or the page ends, and answers how to take that back. */
  readonly onExit?: ((exit: WriterExit) => (() => void) | void) | undefined;
}

/** What can still be done at the end. */
export interface WriterExit {
  /** For what can wait, like Node's `beforeExit`: {@link PayloadWriter.flush} without its errors. */
  readonly flush: () => Promise<void>;
  /** For what cannot, like a browser's `pagehide`: {@link PayloadWriter.leave}. */
  readonly leave: () => void;
}

/** The options that are numbers, none of them left out. */
export interface WriterBounds {
  readonly maxPayloads: number;
  readonly maxBytes: number;
  readonly maxDelayMs: number;
  readonly maxPendingBytes: number;
  readonly deadlineMs: number;
}

/** @throws {PayloadStoreError} `INVALID` naming the option */
export function checkedWriterOptions(options: WriterOptions): WriterBounds {
  const {
    maxPayloads = clientLimits.writerPayloadsDefault,
    maxBytes = clientLimits.writerBytesDefault,
    maxDelayMs = clientLimits.writerDelayMsDefault,
    maxPendingBytes = clientLimits.writerPendingBytesDefault,
    deadlineMs = clientLimits.writerDeadlineMsDefault,
  } = options;
  if (!(Number.isSafeInteger(maxPayloads) && maxPayloads >= 1 && maxPayloads <= limits.commitPayloadsMax)) {
    throw invalid("maxPayloads", `maxPayloads must be 1–${limits.commitPayloadsMax}; got ${maxPayloads}`);
  }
  if (!(maxBytes > 0)) throw invalid("maxBytes", `maxBytes must be more than 0; got ${maxBytes}`);
  if (maxDelayMs !== 0) checkMs("maxDelayMs", maxDelayMs);
  if (!(maxPendingBytes > 0)) throw invalid("maxPendingBytes", "maxPendingBytes must be more than 0");
  checkMs("deadlineMs", deadlineMs);
  return { maxPayloads, maxBytes, maxDelayMs, maxPendingBytes, deadlineMs };
}
