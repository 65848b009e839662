import { concat, utf8 } from "../bytes.ts";
import { type Erasure, type ErasureSelector, type ErasureWish, resolveSelector } from "../erasure/erasure.ts";
import { isPayloadStoreError, PayloadStoreError, throwIfAborted } from "../errors.ts";
import { checkedExpiry } from "../expiry.ts";
import { resolveGroup, resolveKey, resolveTenant, type PayloadId, type ResolvedKey } from "../key.ts";
import { limits } from "../limits.ts";
import { splitLines } from "../line-splitter.ts";
import { termsOfQuestion } from "../page/terms.ts";
import { checkPayloadInput } from "../payload-input.ts";
import type {
  AppendOptions,
  Attributes,
  CallOptions,
  IdempotentOptions,
  Location,
  ReadRange,
  Stats,
} from "../payload.ts";
import type { GroupSummary } from "../ports/offset-index.ts";
import { appendBatch, type AppendResult } from "./batch.ts";
import { answered, cutTo, piecesOf, streamOf, streamOfBytes } from "./body-stream.ts";
import type { ClientGroup, ClientKey } from "./client-key.ts";
import { clientLimits } from "./client-limits.ts";
import { idempotencyKeyOf } from "./idempotency-key.ts";
import { answerOf } from "./json-answer.ts";
import { decodeLine, encodeLine, parsedLine, type ClientContent, type ClientPayloadInput } from "./lines.ts";
import { checkedOptions, type ClientOptions } from "./options.ts";
import {
  acceptStored,
  expiryIn,
  headOf,
  rangeHeader,
  wholeBody,
  type AnswerReader,
  type ClientHead,
} from "./payload-answer.ts";
import type { ClientPlatform, FrameDecoders } from "./platform.ts";
import { Transport, type ClientRequest } from "./transport.ts";
import { upload, type UploadOptions } from "./upload.ts";
import { PayloadWriter } from "./writer.ts";
import type { WriterOptions } from "./writer-options.ts";

/** A payload whose bytes come as they are read. */
export interface ClientPayload extends ClientHead {
  readonly body: ReadableStream<Uint8Array>;
}

/** What payloads are looked for: attributes with the values that a payload has to have, all of them. */
export interface ClientQuestion {
  readonly where: Attributes;
}

/** A page of a list. */
export interface ListPage {
  readonly payloads: readonly ClientHead[];
  /** `after` of the next page; absent on the last one. */
  readonly next?: string | undefined;
}

/**
 * A store behind HTTP, for one tenant. The verbs are those of `PayloadStore`, and so are their answers and errors.
 *
 * A call is repeated while what fails may pass: broken connections, 429, 5xx. Every write carries an Idempotency-Key, one
 * for all its attempts, so that it takes effect once, whatever came in between. A call that still fails with `UNAVAILABLE`
 * may have taken effect.
 */
export class PayloadClient {
  readonly #tenant: string;
  readonly #transport: Transport;
  readonly #reader: AnswerReader;
  readonly #deadlineMs: number;

  /** @throws {PayloadStoreError} `INVALID` naming the option */
  constructor(options: ClientOptions, platform: ClientPlatform, decoders: FrameDecoders) {
    const checked = checkedOptions(options);
    this.#tenant = resolveTenant(options);
    this.#transport = new Transport(checked, platform);
    this.#reader = { sha256: platform.sha256, decoders };
    this.#deadlineMs = checked.deadlineMs;
  }

  /** Stores one payload; an id that is taken is overwritten. @returns where it lies, for `getAt` of the library */
  async append(key: ClientKey, bytes: Uint8Array, options: AppendOptions = {}): Promise<Location> {
    const path = this.#payloadPath(this.#resolve(key));
    const { contentType, attributes, codec, ifAbsent, signal } = options;
    checkPayloadInput({ ...options, bytes }, limits.payloadBytesMax);
    const expiresMs = checkedExpiry(options.expiresAt);
    const headers = {
      ...(contentType === undefined ? {} : { "content-type": contentType }),
      ...(attributes === undefined ? {} : { "paylode-attributes": new URLSearchParams(attributes).toString() }),
      ...(expiresMs === undefined ? {} : { "paylode-expires": new Date(expiresMs).toISOString() }),
      ...(ifAbsent === true ? { "if-none-match": "*" } : {}),
      ...this.#idempotent(options),
    };
    const query = codec === undefined ? "" : `?codec=${codec}`;
    const request: ClientRequest = { method: "PUT", path: path + query, headers, body: bytes, signal };
    return (await this.#json<{ location: Location }>(request, "location")).location;
  }

  /**
   * Stores one payload of up to 5 GiB, past the server and its bound of a request. Only servers on AWS take uploads.
   * @param body  a `Blob`, such as a file, is sent as it is read, and needs `sha256`
   * @returns where it lies
   */
  async upload(key: ClientKey, body: Uint8Array | Blob, options: UploadOptions = {}): Promise<Location> {
    const idempotencyKey = idempotencyKeyOf(options, this.#transport.platform.random);
    return upload(this.#transport, this.#payloadPath(this.#resolve(key)), body, options, idempotencyKey);
  }

  /**
   * Stores payloads of one group in one commit: all of them or none.
   * @param items  1–10,000 payloads with different ids. They name no codec.
   * @returns their locations, in the order of `items`
   */
  async appendMany(
    key: ClientGroup,
    items: readonly (ClientPayloadInput & { readonly id: PayloadId })[],
    options: IdempotentOptions = {},
  ): Promise<readonly Location[]> {
    const group = this.#group(key);
    const lines = items.map((item) => encodeLine({ id: this.#resolve({ group, id: item.id }).id }, item));
    const request: ClientRequest = {
      method: "POST",
      path: `${this.#groupPath(group)}/payloads`,
      headers: { "content-type": "application/x-ndjson", ...this.#idempotent(options) },
      body: concat(lines),
      signal: options.signal,
    };
    const { payloads } = await this.#json<{ payloads: readonly { location: Location }[] }>(request, "payloads");
    return payloads.map(({ location }) => location);
  }

  /**
   * Stores payloads of many groups: one request, one commit for each group.
   *
   * @returns what became of each payload, in the order of `items`
   * @throws {PayloadStoreError} when nothing at all was stored: `INVALID` and `TOO_LARGE` have `line` in their details,
   *   counted from 1, where one payload is at fault
   */
  async appendGroups(
    items: readonly (ClientPayloadInput & { readonly group?: PayloadId | undefined; readonly id: PayloadId })[],
    options: IdempotentOptions = {},
  ): Promise<readonly AppendResult[]> {
    const lines = items.map((item) => {
      const { group, id } = this.#resolve(item);
      return { group, id, bytes: encodeLine({ group, id }, item) };
    });
    return appendBatch(this.#transport, this.#tenant, lines, {
      idempotencyKey: idempotencyKeyOf(options, this.#transport.platform.random),
      signal: options.signal,
      deadlineMs: this.#deadlineMs,
    });
  }

  /** @returns the payload's bytes, `undefined` if it was never stored or is deleted. They are held against their hash. */
  async get(key: ClientKey, { signal }: CallOptions = {}): Promise<Uint8Array | undefined> {
    const names = this.#resolve(key);
    const request = { ...this.#get(this.#payloadPath(names), signal), headers: acceptStored(this.#reader) };
    return orAbsent(
      this.#transport.send(request, (response) => wholeBody(response, headOf(names, response.headers), this.#reader)),
    );
  }

  /**
   * @returns the bytes of several payloads of a group, in the order asked, `undefined` for those that are absent. One request for
   *   each, some at the same time: not as they stood at one moment, which {@link contents} is.
   */
  async getMany(
    key: ClientGroup,
    ids: readonly PayloadId[],
    { signal }: CallOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    const group = this.#group(key);
    const names = ids.map((id) => this.#resolve({ group, id }));
    const payloads: (Uint8Array | undefined)[] = names.map(() => undefined);
    const waiting = names.entries();
    let failed = false;
    const ask = async (): Promise<void> => {
      for (const [i, name] of waiting) {
        if (failed) return;
        payloads[i] = await this.get(name, { signal });
      }
    };
    const asking = Array.from({ length: Math.min(clientLimits.getsAtOnce, names.length) }, ask);
    await Promise.all(asking).catch((error: unknown) => {
      failed = true;
      throw error;
    });
    return payloads;
  }

  /**
   * A payload with what is known of it; `range` reads a part of the bytes, cut to its length. The stream fails when it
   * ends too early, and is not held against the hash: {@link get} is. It MUST be read to its end or cancelled.
   */
  async read(
    key: ClientKey,
    { range, signal }: CallOptions & { readonly range?: ReadRange | undefined } = {},
  ): Promise<ClientPayload | undefined> {
    if (range) return this.#readRange(key, range, signal);
    const names = this.#resolve(key);
    const answer = await orAbsent(this.#transport.open(this.#get(this.#payloadPath(names), signal)));
    if (!answer) return undefined;
    const head = answered(answer, () => headOf(names, answer.response.headers));
    return { ...head, body: streamOf(piecesOf(answer, head.bytes)) };
  }

  /** What is known of a payload, without its bytes. */
  async head(key: ClientKey, { signal }: CallOptions = {}): Promise<ClientHead | undefined> {
    const names = this.#resolve(key);
    const request = { ...this.#get(this.#payloadPath(names), signal), method: "HEAD" as const };
    return orAbsent(this.#transport.send(request, async ({ headers }) => headOf(names, headers)));
  }

  async has(key: ClientKey, options: CallOptions = {}): Promise<boolean> {
    return (await this.head(key, options)) !== undefined;
  }

  /** The payloads of a group, in the order of their first commit, asked for page by page. */
  list(
    key: ClientGroup,
    options: CallOptions & { readonly limit?: number | undefined } = {},
  ): AsyncGenerator<ClientHead, undefined> {
    return this.#paged((page) => this.page(key, page), options);
  }

  /** One page of {@link list}, for those who keep a place: at most 1,000 payloads behind `after`, `next` of a page before. */
  async page(
    key: ClientGroup,
    options: CallOptions & { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): Promise<ListPage> {
    const group = this.#group(key);
    const path = `${this.#groupPath(group)}/payloads?${pageQuery(options).toString()}`;
    type Page = { readonly payloads: readonly ListedEntry[]; readonly next?: string };
    const { payloads, next } = await this.#json<Page>(this.#get(path, options.signal), "payloads");
    return { payloads: payloads.map((entry) => listedHead(group, entry)), next };
  }

  /** The payloads that have all these attributes, in whatever groups they are, asked for page by page. */
  find(
    question: ClientQuestion,
    options: CallOptions & { readonly limit?: number | undefined } = {},
  ): AsyncGenerator<ClientHead, undefined> {
    return this.#paged((page) => this.findPage(question, page), options);
  }

  /** One page of {@link find}: at most 1,000 payloads behind `after`, `next` of a page before. */
  async findPage(
    { where }: ClientQuestion,
    options: CallOptions & { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): Promise<ListPage> {
    const query = pageQuery(options);
    for (const [name, value] of termsOfQuestion(where)) query.append("where", `${escapedName(name)}:${value}`);
    const path = `/v1/${this.#tenant}/payloads?${query.toString()}`;
    type Page = { readonly payloads: readonly (ListedEntry & { readonly group: string })[]; readonly next?: string };
    const { payloads, next } = await this.#json<Page>(this.#get(path, options.signal), "payloads");
    return { payloads: payloads.map((entry) => listedHead(entry.group, entry)), next };
  }

  /**
   * The payloads of a group with their bytes, as {@link list} orders them and as they stood when it began. One request;
   * it is not repeated once the first payload has come.
   */
  async *contents(key: ClientGroup, { signal }: CallOptions = {}): AsyncGenerator<ClientContent, undefined> {
    const path = `${this.#groupPath(this.#group(key))}/payloads?include=data`;
    for await (const line of this.#lines(path, signal)) yield decodeLine(line);
    return undefined;
  }

  /** The groups that have payloads, older ones first. A tenant may have millions. */
  async *groups({ signal }: CallOptions = {}): AsyncGenerator<GroupSummary, undefined> {
    for await (const line of this.#lines(`/v1/${this.#tenant}/groups`, signal)) yield parsedLine(line) as GroupSummary;
    return undefined;
  }

  /** Deletes a payload, for good. @returns whether there was one */
  async delete(key: ClientKey, options: IdempotentOptions = {}): Promise<boolean> {
    const request = { ...this.#delete(options), path: this.#payloadPath(this.#resolve(key)) };
    return (await orAbsent(this.#transport.send(request, async () => true))) ?? false;
  }

  /**
   * Deletes all payloads of a group, for good.
   * @returns how many there were; 0 also when an attempt whose answer was lost has deleted them
   */
  async deleteGroup(key: ClientGroup, options: IdempotentOptions = {}): Promise<number> {
    const request = { ...this.#delete(options), path: this.#groupPath(this.#group(key)) };
    return (await orAbsent(this.#json<{ payloads: number }>(request, "payloads")))?.payloads ?? 0;
  }

  /**
   * Erases payloads for good. Resolves once they are hidden; {@link erasure} tells when their bytes are gone. It is not sent
   * again by itself: one whose answer was lost is among {@link erasures}.
   */
  async erase(selector: ErasureSelector, { signal }: CallOptions = {}): Promise<Erasure> {
    const { fromMs, toMs, ...wish } = resolveSelector(selector);
    const body = utf8(JSON.stringify({ ...wish, from: isoText(fromMs), to: isoText(toMs) }));
    const path = `/v1/${this.#tenant}/erasures`;
    const headers = { "content-type": "application/json" };
    const request: ClientRequest = { method: "POST", path, headers, body, signal, attempts: 1 };
    return this.#receipt(await this.#json<Receipt>(request, "erasure"));
  }

  /** The receipt of an erasure as it is now, `undefined` if there is none. */
  async erasure(erasure: string, { signal }: CallOptions = {}): Promise<Erasure | undefined> {
    const request = this.#get(`/v1/${this.#tenant}/erasures/${encodeURIComponent(erasure)}`, signal);
    const receipt = await orAbsent(this.#json<Receipt>(request, "erasure"));
    return receipt && this.#receipt(receipt);
  }

  /** The receipts of the tenant, oldest first. */
  async erasures({ signal }: CallOptions = {}): Promise<Erasure[]> {
    const request = this.#get(`/v1/${this.#tenant}/erasures`, signal);
    const { erasures } = await this.#json<{ erasures: readonly Receipt[] }>(request, "erasures");
    return erasures.map((receipt) => this.#receipt(receipt));
  }

  #receipt(receipt: Receipt): Erasure {
    const { erasure, requested, hidden, gone, selector, ...rest } = receipt;
    const { from, to, ...wish } = selector;
    return {
      ...rest,
      tenant: this.#tenant,
      id: erasure,
      selector: { ...wish, fromMs: expiryIn(from), toMs: expiryIn(to) },
      requestedMs: Date.parse(requested),
      hiddenMs: expiryIn(hidden),
      goneMs: expiryIn(gone),
    };
  }

  /** What the tenant has. */
  stats({ signal }: CallOptions = {}): Promise<Stats> {
    return this.#json<Stats>(this.#get(`/v1/${this.#tenant}/stats`, signal), "payloads");
  }

  /** Stores payloads in the background, gathered into batches. {@link PayloadWriter} says what it promises. */
  writer(options: WriterOptions = {}): PayloadWriter {
    return new PayloadWriter(this.#transport, this.#tenant, options);
  }

  async #readRange(
    key: ClientKey,
    range: ReadRange,
    signal: AbortSignal | undefined,
  ): Promise<ClientPayload | undefined> {
    const { start, end } = range;
    const isWhole = Number.isSafeInteger(start) && (Number.isSafeInteger(end) || end === Infinity);
    if (!isWhole || start < 0 || end < start) {
      throw new PayloadStoreError("INVALID", "a range is 0 ≤ start ≤ end", { details: { field: "range" } });
    }
    const names = this.#resolve(key);
    // A range that holds nothing cannot be asked for, and one behind the end is refused.
    const nothing = async (): Promise<ClientPayload | undefined> => {
      const head = await this.head(key, { signal });
      return head && { ...head, body: streamOfBytes(new Uint8Array(0)) };
    };
    if (start === end) return nothing();
    const request = { ...this.#get(this.#payloadPath(names), signal), headers: rangeHeader(range) };
    try {
      const answer = await this.#transport.open(request);
      const head = answered(answer, () => headOf(names, answer.response.headers));
      const isPart = answer.response.status === 206;
      // What is replaced between two looks of the server is answered whole.
      const pieces = isPart
        ? piecesOf(answer, Math.min(end, head.bytes) - start)
        : cutTo(piecesOf(answer, head.bytes), range);
      return { ...head, body: streamOf(pieces) };
    } catch (error) {
      if (isPayloadStoreError(error, "NOT_FOUND")) return undefined;
      if (isPayloadStoreError(error) && error.details["status"] === 416) return nothing();
      throw error;
    }
  }

  async *#paged(
    page: (options: CallOptions & { readonly after?: string | undefined; readonly limit: number }) => Promise<ListPage>,
    { limit = Infinity, ...options }: CallOptions & { readonly limit?: number | undefined },
  ): AsyncGenerator<ClientHead, undefined> {
    if (!(limit >= 0))
      throw new PayloadStoreError("INVALID", "limit must be 0 or more", { details: { field: "limit" } });
    let after: string | undefined;
    let left = limit;
    while (left > 0) {
      const { payloads, next } = await page({ ...options, after, limit: Math.min(left, limits.listLimitMax) });
      for (const head of payloads) {
        throwIfAborted(options.signal);
        yield head;
      }
      left -= payloads.length;
      after = next;
      if (after === undefined) break;
    }
    return undefined;
  }

  async *#lines(path: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, undefined> {
    const answer = await this.#transport.open(this.#get(path, signal));
    for await (const { bytes } of splitLines(piecesOf(answer), clientLimits.lineBytesMax)) {
      throwIfAborted(signal);
      yield bytes;
    }
    return undefined;
  }

  #json<Answer extends object>(request: ClientRequest, member: keyof Answer & string): Promise<Answer> {
    return this.#transport.send(request, (response) => answerOf<Answer>(response, [member]));
  }

  #get(path: string, signal: AbortSignal | undefined): ClientRequest {
    return { method: "GET", path, signal };
  }

  #delete(options: IdempotentOptions): Omit<ClientRequest, "path"> {
    return { method: "DELETE", headers: this.#idempotent(options), signal: options.signal };
  }

  #idempotent(options: IdempotentOptions): { readonly "idempotency-key": string } {
    return { "idempotency-key": idempotencyKeyOf(options, this.#transport.platform.random) };
  }

  #resolve(key: ClientKey): ResolvedKey {
    return resolveKey({ tenant: this.#tenant, group: key.group, id: key.id });
  }

  #group({ group }: ClientGroup): string {
    return resolveGroup({ tenant: this.#tenant, group }).group;
  }

  #groupPath(group: string): string {
    return `/v1/${this.#tenant}/groups/${encodeURIComponent(group)}`;
  }

  #payloadPath({ group, id }: ResolvedKey): string {
    return `${this.#groupPath(group)}/payloads/${encodeURIComponent(id)}`;
  }
}

/** A payload as a page of a list tells of it. */
type ListedEntry = Omit<ClientHead, "group" | "timeMs" | "expiresMs"> & {
  readonly time: string;
  readonly expiresAt?: string;
};

function listedHead(group: string, { time, expiresAt, ...entry }: ListedEntry): ClientHead {
  return { ...entry, group, timeMs: Date.parse(time), expiresMs: expiryIn(expiresAt) };
}

function pageQuery(options: {
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}): URLSearchParams {
  const { after, limit = limits.listLimitMax } = options;
  return new URLSearchParams({ limit: String(limit), ...(after === undefined ? {} : { after }) });
}

/** A name as it stands before the colon of a term. */
function escapedName(name: string): string {
  return name.replaceAll("%", "%25").replaceAll(":", "%3A");
}

/** An erasure as servers tell it. docs/http.md §14. */
type Receipt = Omit<Erasure, "tenant" | "id" | "selector" | "requestedMs" | "hiddenMs" | "goneMs"> & {
  readonly erasure: string;
  readonly selector: Omit<ErasureWish, "fromMs" | "toMs"> & { readonly from?: string; readonly to?: string };
  readonly requested: string;
  readonly hidden?: string;
  readonly gone?: string;
};

function isoText(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

/** What is not there, as `undefined`. */
async function orAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isPayloadStoreError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}
