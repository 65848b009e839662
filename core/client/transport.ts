import { isPayloadStoreError, PayloadStoreError, throwIfAborted } from "../errors.ts";
import { brokenOff, failureOf, type Failure } from "./failure.ts";
import { pauseMs } from "./pause.ts";
import type { ClientPlatform } from "./platform.ts";
import { pause, Watch } from "./watch.ts";

/** Which server, and how long it is waited for. */
export interface TransportOptions {
  /** Without a slash at the end. */
  readonly url: string;
  /** Bearer key. */
  readonly key: string | undefined;
  readonly attemptMs: number;
  readonly deadlineMs: number;
  readonly attempts: number;
}

/** A request that may be sent several times: it is the same each time, its Idempotency-Key too. */
export interface ClientRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** From `/v1` on, percent-encoded, with the query. */
  readonly path: string;
  /** Another server's address in place of all that, which gets no key. */
  readonly url?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | Blob;
  readonly keepalive?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Instead of the client's. */
  readonly deadlineMs?: number | undefined;
  /** Instead of the client's. */
  readonly attemptMs?: number | undefined;
  /** Instead of the client's: 1 where it must not be sent twice. */
  readonly attempts?: number | undefined;
}

/** An answer whose body is still to be read. Whoever reads it waits through `watch`, and ends it. */
export interface OpenAnswer {
  readonly response: Response;
  readonly watch: Watch;
  /** What reading it failed with, as the store's error. */
  readonly errorFrom: (error: unknown) => PayloadStoreError;
}

/** Sends requests until one is answered, refused for good, or the deadline is over. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #platform: ClientPlatform;

  constructor(options: TransportOptions, platform: ClientPlatform) {
    this.#options = options;
    this.#platform = platform;
  }

  get platform(): ClientPlatform {
    return this.#platform;
  }

  /** Attempts of one call. */
  get attempts(): number {
    return this.#options.attempts;
  }

  /**
   * @param take  reads the answer; where that breaks off, the request is sent again
   * @throws {PayloadStoreError} the server's own refusal; `UNAVAILABLE` when there is no answer, or what the last attempt
   *   failed with; `ABORTED` when the caller gave up
   */
  send<T>(request: ClientRequest, take: (response: Response) => Promise<T>): Promise<T> {
    return this.#repeated(request, async (watch) => {
      try {
        return await watch.during(async () => take(await this.#fetch(request, watch)));
      } finally {
        watch.end();
      }
    });
  }

  /** As {@link send}, for bodies that are read piece by piece: what breaks off later is the reader's to see. */
  open(request: ClientRequest): Promise<OpenAnswer> {
    return this.#repeated(request, async (watch) => {
      try {
        const response = await watch.during(() => this.#fetch(request, watch));
        return { response, watch, errorFrom: (error) => this.#failureFrom(error, request.signal).error };
      } catch (error) {
        watch.end();
        throw error;
      }
    });
  }

  /** Runs `attempt`, and again after a pause when it failed with something that passes. */
  async #repeated<T>(request: ClientRequest, attempt: (watch: Watch) => Promise<T>): Promise<T> {
    const { timers, random } = this.#platform;
    const { signal } = request;
    throwIfAborted(signal);
    const endMs = timers.nowMs() + (request.deadlineMs ?? this.#options.deadlineMs);
    for (let number = 1; ; number++) {
      const leftMs = endMs - timers.nowMs();
      let failure: Failure;
      try {
        return await attempt(new Watch(timers, Math.min(request.attemptMs ?? this.#options.attemptMs, leftMs), signal));
      } catch (error) {
        failure = this.#failureFrom(error, signal);
      }
      const ms = pauseMs(number, failure.retryAfterMs, random);
      const isOver = number >= (request.attempts ?? this.#options.attempts) || timers.nowMs() + ms >= endMs;
      if (!failure.isTransient || isOver) throw failure.error;
      await pause(timers, ms, signal);
      throwIfAborted(signal);
    }
  }

  /** @throws {Refused} for an answer that is none of 2xx; whatever `fetch` throws */
  async #fetch(request: ClientRequest, { signal }: Watch): Promise<Response> {
    const { method, path, headers, body, keepalive } = request;
    const { url, key } = this.#options;
    const isOurs = request.url === undefined;
    const response = await this.#platform.fetch(request.url ?? url + path, {
      method,
      headers: { ...headers, ...(key === undefined || !isOurs ? {} : { authorization: `Bearer ${key}` }) },
      signal,
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> | Blob }),
      ...(keepalive === true ? { keepalive } : {}),
    });
    if (method === "POST" && response.redirected) {
      // Redirects of old make a GET of it, whose answer means something else.
      throw new PayloadStoreError("INVALID", `${url} sends requests on to ${response.url}: name that server instead`);
    }
    if (!response.ok) throw new Refused(await failureOf(response));
    return response;
  }

  /** What an attempt failed with. An answer that could be read and is wrong is not asked for again. */
  #failureFrom(error: unknown, signal: AbortSignal | undefined): Failure {
    if (signal?.aborted) return { error: aborted(signal), isTransient: false };
    if (error instanceof Refused) return error.failure;
    if (isPayloadStoreError(error)) return { error, isTransient: error.code === "UNAVAILABLE" };
    return brokenOff(this.#options.url, error);
  }
}

function aborted({ reason }: AbortSignal): PayloadStoreError {
  return new PayloadStoreError("ABORTED", "the caller aborted the call; whether a write took effect is not known", {
    cause: reason,
  });
}

/** Carries a failure up to where it is decided what to do about it. */
class Refused extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}
