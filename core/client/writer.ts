import { isPayloadStoreError, PayloadStoreError } from "../errors.ts";
import { resolveKey } from "../key.ts";
import type { Location } from "../payload.ts";
import { appendBatch, type BatchLine } from "./batch.ts";
import type { ClientKey } from "./client-key.ts";
import { clientLimits } from "./client-limits.ts";
import { idempotencyKeyOf } from "./idempotency-key.ts";
import { encodeLine, type ClientPayloadInput } from "./lines.ts";
import type { Transport } from "./transport.ts";
import { checkedWriterOptions, type WriterBounds, type WriterOptions } from "./writer-options.ts";

interface Entry {
  readonly line: BatchLine;
  readonly sinceMs: number;
  readonly resolve: (location: Location) => void;
  readonly reject: (error: PayloadStoreError) => void;
}

type Settled =
  | { readonly kind: "stored"; readonly location: Location }
  | { readonly kind: "failed"; readonly error: PayloadStoreError };

interface Batch {
  readonly entries: readonly Entry[];
  readonly idempotencyKey: string;
}

/** Entries that were taken from the queue and are not settled yet. They may have to be sent in several batches. */
interface Sending {
  readonly groups: ReadonlySet<string>;
  readonly keepalive: boolean;
  /** What is under way. */
  batch?: Batch;
}

/**
 * Stores payloads in the background: gathered by number, bytes and time, one batch under way at a time, many groups in a
 * batch.
 *
 * Payloads of a group are stored in the order they were written, also under retries; what is stored of it is at any time
 * the first so many, but for those that failed: one that is refused fails alone, the others of its batch go on. A payload
 * that is refused, or not acknowledged within the deadline, fails its `write`, is given to `onError`, and makes the next
 * `flush` reject: nothing is lost in silence. Nothing is kept beyond the process: what is not acknowledged when it ends may be lost.
 */
export class PayloadWriter {
  readonly #transport: Transport;
  readonly #tenant: string;
  readonly #bounds: WriterBounds;
  readonly #onError: WriterOptions["onError"];
  readonly #queue: Entry[] = [];
  readonly #pending = new Set<Promise<Location>>();
  readonly #underWay = new Set<Sending>();
  #queueBytes = 0;
  #pendingBytes = 0;
  /** How many at the front of the queue wait for nobody any more. */
  #due = 0;
  #isSending = false;
  #leaving = Promise.resolve();
  #cancelTimer: (() => void) | undefined;
  readonly #waiters: (() => void)[] = [];
  #failed: { readonly first: PayloadStoreError; readonly count: number } | undefined;
  #isClosed = false;
  readonly #isToldOfExit: boolean;
  readonly #forgetExit: (() => void) | void;

  constructor(transport: Transport, tenant: string, options: WriterOptions) {
    this.#transport = transport;
    this.#tenant = tenant;
    this.#bounds = checkedWriterOptions(options);
    this.#onError = options.onError;
    this.#isToldOfExit = options.onExit !== undefined;
    this.#forgetExit = options.onExit?.({
      flush: () => this.flush().catch(() => {}),
      leave: () => this.leave(),
    });
  }

  /** Bytes of what is not acknowledged yet, as lines. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Resolves when there is room for another payload. Await it before `write` where more comes than the server takes. */
  get ready(): Promise<void> {
    if (this.#hasRoom()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  /**
   * Takes a payload; `bytes` may change afterwards. Resolves with its location once it is durable. Whoever does not care
   * for a single payload need not await it: failures reach `onError` and {@link flush} too.
   *
   * @throws {PayloadStoreError} `INVALID`, `TOO_LARGE` for the payload, or when too much waits already; `CLOSED`; and
   *   whatever storing it failed with, `UNAVAILABLE` when its outcome is not known
   */
  write(key: ClientKey, bytes: Uint8Array, options: Omit<ClientPayloadInput, "bytes"> = {}): Promise<Location> {
    const done = this.#taken(key, { ...options, bytes });
    this.#pending.add(done);
    // Nobody has to await it: on Node, a failure that nobody handles ends the process.
    void done
      .catch((error: PayloadStoreError) => this.#onError?.(error, key))
      .finally(() => this.#pending.delete(done));
    return done;
  }

  /** Sends what waits. Resolves once everything written before is stored. @throws the first failure since the last flush */
  async flush(): Promise<void> {
    this.#due = this.#queue.length;
    this.#next();
    await Promise.allSettled(this.#pending);
    if (!this.#failed) return;
    const { first, count } = this.#failed;
    this.#failed = undefined;
    const message = `${count} payload${count === 1 ? " was" : "s were"} not stored: ${first.message}`;
    throw new PayloadStoreError(first.code, message, { cause: first, details: { ...first.details, payloads: count } });
  }

  /** Flushes, and takes no more. May be called again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#forgetExit?.();
    await this.flush();
  }

  /**
   * Hands what waits to requests that outlive the page, at most 64 KiB in all: first the batch under way once more, under
   * its key, then the oldest payloads of other groups. A group is never continued beside an earlier part of it, so what
   * arrives of a group is still its first payloads. Nobody learns what became of it, unless the page lives on.
   */
  leave(): void {
    let roomBytes: number = clientLimits.keepaliveBytesMax;
    const closed = new Set<string>();
    for (const { groups, batch } of this.#underWay) {
      for (const group of groups) closed.add(group);
      const bytes = batch ? bytesOf(batch.entries) : 0;
      if (!batch || bytes > roomBytes) continue;
      roomBytes -= bytes;
      void this.#append(batch, true).catch(() => {});
    }
    const { taken, left } = this.#firstOfGroups(roomBytes, closed);
    this.#queue.splice(0, this.#queue.length, ...left);
    this.#queueBytes -= bytesOf(taken);
    this.#due = left.length;
    this.#leaving = Promise.all([this.#leaving, this.#send(taken, true)]).then(() => {});
    this.#next();
  }

  async #taken(key: ClientKey, input: ClientPayloadInput): Promise<Location> {
    try {
      return await this.#queued(this.#lineOf(key, input));
    } catch (error) {
      const first = this.#failed?.first ?? (error as PayloadStoreError);
      this.#failed = { first, count: (this.#failed?.count ?? 0) + 1 };
      throw error;
    }
  }

  #lineOf(key: ClientKey, input: ClientPayloadInput): BatchLine {
    if (this.#isClosed) throw new PayloadStoreError("CLOSED", "the writer is closed");
    const { group, id } = resolveKey({ tenant: this.#tenant, group: key.group, id: key.id });
    const line = { group, id, bytes: encodeLine({ group, id }, input) };
    if (this.#hasRoom()) return line;
    const message = `${this.#pendingBytes} bytes wait to be acknowledged: await ready before writing more`;
    const details = { pendingBytes: this.#pendingBytes, bytesMax: this.#bounds.maxPendingBytes };
    throw new PayloadStoreError("TOO_LARGE", message, { details });
  }

  #queued(line: BatchLine): Promise<Location> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ line, sinceMs: this.#nowMs(), resolve, reject });
      this.#pendingBytes += line.bytes.length;
      this.#queueBytes += line.bytes.length;
      this.#next();
    });
  }

  #hasRoom(): boolean {
    return this.#pendingBytes < this.#bounds.maxPendingBytes;
  }

  /** Sends the next batch, if none is under way and there is reason to, or sees to it that there will be. */
  #next(): void {
    const [first] = this.#queue;
    if (this.#isSending || !first) return;
    this.#cancelTimer?.();
    const { maxPayloads, maxBytes, maxDelayMs } = this.#bounds;
    const leftMs = first.sinceMs + maxDelayMs - this.#nowMs();
    const isFull = this.#queue.length >= maxPayloads || this.#queueBytes >= maxBytes;
    if (!isFull && this.#due === 0 && leftMs > 0) {
      // Whoever is told of the exit flushes then, and need not wait for it.
      this.#cancelTimer = this.#transport.platform.timers.after(leftMs, () => this.#next(), this.#isToldOfExit);
      return;
    }
    this.#isSending = true;
    void this.#sendNext().then(() => {
      this.#isSending = false;
      this.#next();
    });
  }

  async #sendNext(): Promise<void> {
    // The page may begin to end once more while this waits.
    for (let awaited: unknown; awaited !== this.#leaving;) await (awaited = this.#leaving);
    await this.#send(this.#take(), false);
  }

  /** The front of the queue, as far as one batch goes. An id that comes again in its group begins another one. */
  #take(): readonly Entry[] {
    const { maxPayloads, maxBytes } = this.#bounds;
    const names = new Set<string>();
    let bytes = 0;
    let count = 0;
    for (const { line } of this.#queue) {
      const name = JSON.stringify([line.group, line.id]);
      const fits = count === 0 || (count < maxPayloads && bytes + line.bytes.length <= maxBytes);
      if (!fits || names.has(name)) break;
      names.add(name);
      bytes += line.bytes.length;
      count += 1;
    }
    this.#queueBytes -= bytes;
    this.#due = Math.max(this.#due - count, 0);
    return this.#queue.splice(0, count);
  }

  /** From the front of the queue what fits, without groups that are `closed` or have something left behind. */
  #firstOfGroups(bytesMax: number, closed: Set<string>): { taken: Entry[]; left: Entry[] } {
    const names = new Set<string>();
    const taken: Entry[] = [];
    const left: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#queue) {
      const { line } = entry;
      const name = JSON.stringify([line.group, line.id]);
      if (closed.has(line.group) || names.has(name) || bytes + line.bytes.length > bytesMax) {
        closed.add(line.group);
        left.push(entry);
        continue;
      }
      names.add(name);
      bytes += line.bytes.length;
      taken.push(entry);
    }
    return { taken, left };
  }

  /** Sends entries until each is settled. Never rejects. */
  async #send(entries: readonly Entry[], keepalive: boolean): Promise<void> {
    const sending: Sending = { groups: new Set(entries.map(({ line }) => line.group)), keepalive };
    this.#underWay.add(sending);
    await this.#sendPart(entries, sending);
    this.#underWay.delete(sending);
  }

  async #sendPart(entries: readonly Entry[], sending: Sending): Promise<void> {
    if (entries.length === 0) return;
    // In another composition it is another request.
    const batch = { entries, idempotencyKey: idempotencyKeyOf({}, this.#transport.platform.random) };
    sending.batch = batch;
    let refused: PayloadStoreError;
    try {
      const results = await this.#append(batch, sending.keepalive);
      for (const [i, result] of results.entries()) this.#settle(entries[i]!, result);
      return;
    } catch (error) {
      refused = error as PayloadStoreError;
    }
    const [atFault, ...parts] = withoutFault(entries, refused);
    for (const entry of atFault) this.#settle(entry, { kind: "failed", error: refused });
    for (const part of parts) await this.#sendPart(part, sending);
  }

  #append({ entries, idempotencyKey }: Batch, keepalive: boolean): ReturnType<typeof appendBatch> {
    const lines = entries.map(({ line }) => line);
    const { deadlineMs } = this.#bounds;
    return appendBatch(this.#transport, this.#tenant, lines, { idempotencyKey, keepalive, deadlineMs });
  }

  #settle({ line, resolve, reject }: Entry, result: Settled): void {
    this.#pendingBytes -= line.bytes.length;
    if (result.kind === "stored") resolve(result.location);
    else reject(result.error);
    if (this.#hasRoom()) for (const resume of this.#waiters.splice(0)) resume();
  }

  #nowMs(): number {
    return this.#transport.platform.timers.nowMs();
  }
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { line }) => sum + line.bytes.length, 0);
}

/**
 * After a refusal as a whole: who fails with it, then what is to be sent again, in that order. The line that it names fails
 * alone. What is too long together may not be so apart.
 */
function withoutFault(
  entries: readonly Entry[],
  refused: PayloadStoreError,
): readonly [atFault: readonly Entry[], ...parts: (readonly Entry[])[]] {
  const isOfLine = isPayloadStoreError(refused, "INVALID") || isPayloadStoreError(refused, "TOO_LARGE");
  const named = isOfLine ? entries[Number(refused.details["line"]) - 1] : undefined;
  if (named) return [[named], entries.filter((entry) => entry !== named)];
  if (!isPayloadStoreError(refused, "TOO_LARGE") || entries.length === 1) return [entries];
  const half = entries.length >> 1;
  return [[], entries.slice(0, half), entries.slice(half)];
}
