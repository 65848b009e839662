import { whenThere } from "./at-once.ts";
import type { BlockCache } from "./block-cache.ts";
import { BlockEncoder } from "./blocks.ts";
import { codecPolicy, type CodecPolicy, type CodecPolicyName } from "./codec-policy.ts";
import { CommitLanes, type Committed, type PageDraft, type WrittenBytes } from "./commit-lanes.ts";
import { Coalescing, type Wanted } from "./coalesce.ts";
import { draftPage, requestOf, type DraftTools } from "./draft.ts";
import {
  type Erasure,
  type ErasureSelector,
  type ErasureWish,
  isSelected,
  receiptOf,
  resolveSelector,
} from "./erasure/erasure.ts";
import { Eraser } from "./erasure/eraser.ts";
import { PayloadStoreError, isPayloadStoreError, throwIfAborted } from "./errors.ts";
import { isExpired } from "./expiry.ts";
import { type FindQuestion, findPayloads } from "./find.ts";
import type { ViewedPayload } from "./group-view.ts";
import { type Health, HealthWatch } from "./health.ts";
import { invariant } from "./invariant.ts";
import {
  resolveGroup,
  resolveKey,
  resolveName,
  resolveTenant,
  type GroupKey,
  type ResolvedKey,
  type PayloadId,
  type PayloadKey,
  type TenantKey,
} from "./key.ts";
import { limits } from "./limits.ts";
import { checkCompactOptions } from "./compaction/compact-options.ts";
import type { Compaction, CompactionReport, CompactOptions } from "./compaction/compaction.ts";
import { type Decided, describeKey, type FoundPayload, Lookup } from "./lookup.ts";
import { lookedUp, lookUp, type Named, segmentIsGone } from "./looked-up.ts";
import { termsOfQuestion } from "./page/terms.ts";
import { locationOf } from "./payload-head.ts";
import { checkLocation, type KnownPayload, PayloadReader } from "./payload-reader.ts";
import type {
  AppendOptions,
  CallOptions,
  CreateOptions,
  IdempotentOptions,
  ListedPayload,
  Location,
  Payload,
  PayloadHead,
  PayloadInput,
  ReadOptions,
  ReadRange,
  Stats,
  StoredPayload,
  StreamedPayload,
} from "./payload.ts";
import type { Prices } from "./placement.ts";
import type { Clock } from "./ports/clock.ts";
import type { CodecCode, Codecs } from "./ports/codec.ts";
import type { Digest } from "./ports/digest.ts";
import type { ErasureLedger } from "./ports/erasure-ledger.ts";
import type { Basis, ExpiringCount, GroupSummary, OffsetIndex, SegmentState } from "./ports/offset-index.ts";
import type { Random } from "./ports/random.ts";
import type { SegmentStore } from "./ports/segment-store.ts";
import type { UploadReader, UploadStore } from "./ports/upload-store.ts";
import { recount } from "./recount.ts";
import { type Retention, type RetentionClasses, RetentionRules } from "./retention.ts";
import type { LossList } from "./repair/loss.ts";
import { FrameReader, type HeadCache } from "./segment/read-frame.ts";
import { storageOf, type StorageStats, withRatios } from "./storage.ts";
import { UploadBlocks } from "./upload-blocks.ts";
import { type BegunUpload, type PutUpload, type UploadInput, Uploads } from "./uploads.ts";
import type { VerifyOptions, VerifyReport } from "./verify/report.ts";
import type { VerifyEstimate } from "./verify/estimate.ts";

/** What a store is made of. Entries (`core/entries/`) put these together. */
export interface PayloadStorePorts {
  readonly segments: SegmentStore;
  readonly index: OffsetIndex;
  readonly codecs: Codecs;
  /** Where payloads lie that their owners put past the store, if this store has any. */
  readonly uploads?: UploadReader | UploadStore | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly digest: Digest;
  /** What was read last, kept where a read costs more than the memory. */
  readonly heads?: HeadCache | undefined;
  readonly blocks?: BlockCache | undefined;
  /** Where erasures are kept, if this store takes any. */
  readonly erasures?: ErasureLedger | undefined;
  /** What repairs found lost for good. */
  readonly losses?: LossList | undefined;
  /** How room is given back, if this store can. */
  readonly compaction?: ((store: StoreInside) => Compaction) | undefined;
}

/** What compaction and repair use of a store. */
export interface StoreInside {
  readonly lanes: CommitLanes;
  readonly lookup: Lookup;
  readonly frames: FrameReader;
  readonly retention: RetentionRules;
  readonly eraser?: Eraser | undefined;
}

export interface PayloadStoreOptions {
  /** Longest payload taken, in bytes; at most, and by default, `limits.payloadBytesMax`. */
  readonly payloadBytesMax?: number | undefined;
  /** Chooses a codec where a payload names none: `tiered`, the default, goes by size, `auto` looks at the bytes. */
  readonly codecPolicy?: CodecPolicyName | CodecPolicy | undefined;
  /**
   * How long payloads are kept that are written without an expiry of their own, in whole milliseconds, for all tenants or for each,
   * and by class where they name one; 0, the default, keeps them for ever. It stands in what is written: changing it changes
   * nothing that is stored.
   */
  readonly retentionMs?: number | RetentionClasses | Retention | undefined;
  /** Refuses every write. */
  readonly readOnly?: boolean | undefined;
}

/** The names of them. */
export const storeOptions: Readonly<Record<keyof PayloadStoreOptions, true>> = {
  payloadBytesMax: true,
  codecPolicy: true,
  retentionMs: true,
  readOnly: true,
};

/**
 * Keeps the payloads of agents: many small ones, written and read by group, deleted for good when asked.
 *
 * An append that resolved is durable and visible to every read that starts afterwards, from any process. A read gives
 * exactly the stored bytes, or an error: damage is `CORRUPT`, never other bytes and never absence. Writes of one group
 * take effect one after the other, whoever makes them; the last one wins.
 */
export class PayloadStore {
  readonly #ports: PayloadStorePorts;
  readonly #frames: FrameReader;
  readonly #lookup: Lookup;
  readonly #lanes: CommitLanes;
  readonly #drafting: DraftTools;
  readonly #readOnly: boolean;
  readonly #compaction: Compaction | undefined;
  readonly #eraser: Eraser | undefined;
  readonly #watch = new HealthWatch();
  #uploads: Uploads | undefined;
  #closing: Promise<void> | undefined;
  /** Longest payload taken, in bytes. */
  readonly payloadBytesMax: number;
  protected readonly inside: StoreInside;

  constructor(ports: PayloadStorePorts, options: PayloadStoreOptions = {}) {
    this.#ports = ports;
    this.#frames = new FrameReader(ports.segments, ports.digest, ports.heads);
    this.#lookup = new Lookup(ports.index, this.#frames, ports.clock);
    const retention = new RetentionRules(options.retentionMs);
    this.#lanes = new CommitLanes(ports, (tenant) => retention.defaultMs(tenant));
    this.#readOnly = options.readOnly ?? false;
    this.#eraser = ports.erasures && this.#eraserOf(ports.erasures);
    this.inside = { lanes: this.#lanes, lookup: this.#lookup, frames: this.#frames, retention, eraser: this.#eraser };
    this.#compaction = ports.compaction?.(this.inside);
    this.payloadBytesMax = options.payloadBytesMax ?? limits.payloadBytesMax;
    if (!(this.payloadBytesMax > 0 && this.payloadBytesMax <= limits.payloadBytesMax)) {
      throw new PayloadStoreError("INVALID", `payloadBytesMax must be 1–${limits.payloadBytesMax}`, {
        details: { field: "payloadBytesMax" },
      });
    }
    this.#drafting = {
      blocks: new BlockEncoder(ports.codecs, codecPolicy(options.codecPolicy ?? "tiered")),
      digest: ports.digest,
      payloadBytesMax: this.payloadBytesMax,
      retention,
    };
  }

  /**
   * Stores one payload; an id that is taken is overwritten. `bytes` must not change until it resolves.
   *
   * @returns where the payload lies, for {@link getAt}
   * @throws {PayloadStoreError} `INVALID`, `TOO_LARGE`, `EXISTS` with `ifAbsent`; `UNAVAILABLE` when the outcome is unknown
   *
   * Cost: one group commit, shared with everything that is appended at the same time.
   */
  async append(key: PayloadKey, bytes: Uint8Array, options: AppendOptions = {}): Promise<Location> {
    const resolved = resolveKey(key);
    const input: PayloadInput = {
      bytes,
      contentType: options.contentType,
      attributes: options.attributes,
      codec: options.codec,
      expiresAt: options.expiresAt,
      retention: options.retention,
    };
    const draft = this.#draft(resolved.tenant, [{ ...input, id: resolved.id }], options);
    return this.#commitOne(resolved, draft, options);
  }

  /**
   * Begins a payload that is too long to pass through: its owner puts the bytes at the answered URL, then says
   * {@link commitUpload}. Nothing is stored until then.
   *
   * @throws {PayloadStoreError} `UNSUPPORTED` where the store takes no uploads; `INVALID`; `TOO_LARGE` above 5 GiB
   * Cost: no request.
   */
  async beginUpload(key: PayloadKey, input: UploadInput, options: CallOptions = {}): Promise<BegunUpload> {
    const { tenant } = resolveKey(key);
    this.#enterWriting(options);
    return this.#uploadsOf().begin(tenant, input);
  }

  /**
   * Makes what was put at an upload's URL the payload of an id. It is read once and compared with its SHA-256.
   *
   * @throws {PayloadStoreError} `NOT_FOUND` when nothing was put, `CONFLICT` when other bytes were, `GONE` when the upload
   *   was begun too long ago; otherwise as {@link append}
   * Cost: a read for each 4 MiB, then as an append to a segment.
   */
  async commitUpload(key: PayloadKey, put: PutUpload, options: CreateOptions = {}): Promise<Location> {
    const resolved = resolveKey(key);
    this.#enterWriting(options);
    const { retention } = put;
    const keptMs = retention === undefined ? undefined : this.#drafting.retention.classMs(resolved.tenant, retention);
    const draft = await this.#uploadsOf().draft(resolved, put, keptMs);
    throwIfAborted(options.signal);
    return this.#commitOne(resolved, Promise.resolve(draft), options);
  }

  async #commitOne(key: ResolvedKey, draft: Promise<PageDraft>, options: CreateOptions): Promise<Location> {
    const { tenant, group } = key;
    const refuseTaken = async () => {
      const { value: taken, basis } = await lookedUp(key, () => this.#lookup.has(key));
      if (!taken) return basis;
      throw new PayloadStoreError("EXISTS", `${describeKey(key)} has a payload already`, { details: { ...key } });
    };
    const [location] = await this.#commit(tenant, group, draft, options, options.ifAbsent ? refuseTaken : undefined);
    invariant(location !== undefined, "a commit of one payload has one location");
    return location;
  }

  #erasing(): Eraser {
    if (this.#eraser) return this.#eraser;
    throw new PayloadStoreError("UNSUPPORTED", "this store keeps no erasures: delete the payloads");
  }

  #eraserOf(ledger: ErasureLedger): Eraser {
    const { index, segments, clock, random } = this.#ports;
    return new Eraser({
      ledger,
      index,
      segments,
      clock,
      random,
      // By the clock of another process there may be what has expired by this one's.
      hideGroup: (tenant, group) => this.#clear(tenant, group, {}, async ({ payloads }) => payloads),
      selected: async (tenant, group, wish) => (await this.#selected(tenant, group, wish)).ids,
      hideSelected: (tenant, group, wish) => this.#hideSelected(tenant, group, wish),
    });
  }

  /**
   * What an erasure means of a group, expired payloads too.
   * Where damage hides what there is, it is what is named.
   * @throws {PayloadStoreError} `CORRUPT` where nothing is named
   */
  async #selected(tenant: string, group: string, wish: ErasureWish): Promise<Selected> {
    const found = await lookedUp({ group }, () => this.#lookup.view(tenant, group)).catch(whenCorrupt(undefined));
    if (!found) {
      if (wish.ids)
        return { ids: wish.ids, basis: (await this.#ports.index.count(tenant, group)).basis, isWhole: false };
      const message = `${describeKey({ group })}: damage keeps it from being looked into`;
      throw new PayloadStoreError("CORRUPT", message, { details: { group } });
    }
    const ids = found.view.places().flatMap(({ page, found: { entry } }) => {
      const { id, attributes, origin } = entry;
      return isSelected(wish, { id, attributes, timeMs: origin?.timeMs ?? page.timeMs }) ? [id] : [];
    });
    return { ids, basis: found.basis, isWhole: true };
  }

  async #hideSelected(tenant: string, group: string, wish: ErasureWish): Promise<number> {
    let hidden = 0;
    for (let left = 1; left > 0;) {
      left = 0;
      let count = 0;
      await this.#lanes.decide(tenant, group, async () => {
        const { ids, basis, isWhole } = await this.#selected(tenant, group, wish);
        const deleted = ids.slice(0, limits.commitPayloadsMax);
        count = deleted.length;
        if (count === 0) return undefined;
        left = ids.length - deleted.length;
        const clearsGroup = isWhole && this.#ports.index.isEmptied?.(tenant, group, deleted.length) === true;
        return { draft: { deleted, clearsGroup, entries: [], blocks: [] }, basis };
      });
      hidden += count;
    }
    return hidden;
  }

  #uploadsOf(): Uploads {
    const { uploads } = this.#ports;
    if (!this.#readOnly && uploads && "sign" in uploads) {
      this.#uploads ??= new Uploads(uploads, this.#ports);
      return this.#uploads;
    }
    throw new PayloadStoreError("UNSUPPORTED", "this store takes no uploads: send the payload itself");
  }

  /**
   * Stores payloads of one group in one commit: all of them or none. They share blocks, so a batch takes a fraction of
   * the bytes of lone payloads.
   *
   * @param items  1–10,000 payloads with different ids, 256 MiB in all
   * @returns their locations, in the order of `items`
   */
  async appendMany(
    key: GroupKey,
    items: readonly (PayloadInput & { readonly id: PayloadId })[],
    options: IdempotentOptions = {},
  ): Promise<Location[]> {
    const { tenant, group } = resolveGroup(key);
    return this.#commit(tenant, group, this.#draft(tenant, items, options), options);
  }

  /** @returns the payload's bytes, `undefined` if it was never stored or is deleted. Cost: two reads. */
  async get(key: PayloadKey, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    return this.#read(resolveKey(key), options, bodyAlone);
  }

  /**
   * Like {@link get}, with what is known of the payload.
   *
   * @param options  `range`: only this part of the bytes; `bytesMax`: `TOO_LARGE`, before anything of it is read, if it or
   *   its part is longer, 512 MiB by default
   */
  async read(key: PayloadKey, options: ReadOptions = {}): Promise<Payload | undefined> {
    return this.#read(resolveKey(key), options, withBody);
  }

  /** @param answer  what of a payload is asked for */
  #read<T>(
    key: ResolvedKey,
    options: ReadOptions,
    answer: (head: PayloadHead, body: Uint8Array) => T,
  ): T | undefined | Promise<T | undefined> {
    const readFound = ({ value: found }: Decided<FoundPayload | undefined>): T | undefined | Promise<T> => {
      if (!found) return undefined;
      throwIfAborted(options.signal);
      const { head } = found;
      refuseLonger(head, options);
      const body = this.#reader(key.tenant).read(head.location, options.range, found);
      return body instanceof Promise ? body.then((bytes) => answer(head, bytes)) : answer(head, body);
    };
    return this.#lookUp(key, options, () => whenThere(this.#lookup.find(key), readFound));
  }

  /**
   * Like {@link read}, with the body as it is stored where the payload is all of one block in one of these codecs. Its
   * checksum is verified; whoever decodes it has to know `bytes`.
   */
  async readStored(
    key: PayloadKey,
    codecs: readonly CodecCode[],
    options: Pick<ReadOptions, "signal" | "bytesMax"> = {},
  ): Promise<StoredPayload | undefined> {
    const resolved = resolveKey(key);
    return this.#lookUp(resolved, options, async () => {
      const { value: found } = await this.#lookup.find(resolved);
      if (!found) return undefined;
      throwIfAborted(options.signal);
      const { head } = found;
      refuseLonger(head, options);
      const reader = this.#reader(resolved.tenant);
      const block = await reader.stored(head.location, codecs, found.place);
      if (block) return { ...head, codec: block.codec, body: block.body };
      return { ...head, codec: 0, body: await reader.read(head.location, undefined, found) };
    });
  }

  /**
   * Like {@link read}, with the body in pieces, each checked before it is given: for payloads of any length. What was
   * given is right also when a later piece is found damaged.
   */
  async stream(
    key: PayloadKey,
    options: CallOptions & { readonly range?: ReadRange | undefined } = {},
  ): Promise<StreamedPayload | undefined> {
    const resolved = resolveKey(key);
    return this.#lookUp(resolved, options, async () => {
      const { value: known } = await this.#lookup.find(resolved);
      if (!known) return undefined;
      throwIfAborted(options.signal);
      const pieces = this.#reader(resolved.tenant).stream(known.head.location, options.range, known);
      // The first piece tells whether the segment is still there.
      const first = await pieces.next();
      return { ...known.head, body: resumed(first, pieces, options.signal) };
    });
  }

  /** What is known of a payload, without reading a byte of it. Cost: one read. */
  async head(key: PayloadKey, options: CallOptions = {}): Promise<PayloadHead | undefined> {
    const resolved = resolveKey(key);
    return this.#lookUp(resolved, options, () => whenThere(this.#lookup.find(resolved), ({ value }) => value?.head));
  }

  /** Whether there is a payload. Cost: at most that of {@link head}. */
  async has(key: PayloadKey, options: CallOptions = {}): Promise<boolean> {
    const resolved = resolveKey(key);
    return this.#lookUp(resolved, options, () => whenThere(this.#lookup.has(resolved), ({ value }) => value));
  }

  /**
   * Reads by location, without the index. A location stays good when its id is overwritten, deleted or has expired, until
   * compaction declares its bytes dead: it is not a way to ask whether a payload still exists.
   *
   * @throws {PayloadStoreError} `GONE` when the segment is no more, `INVALID` or `CORRUPT` when the location names no payload
   */
  async getAt(
    key: TenantKey,
    location: Location,
    options: CallOptions & { readonly range?: ReadRange | undefined } = {},
  ): Promise<Uint8Array> {
    this.#enter(options);
    const tenant = resolveTenant(key);
    checkLocation(location);
    return this.#reader(tenant).read(location, options.range, await this.#knownOf(tenant, location));
  }

  /** @returns the payloads of several ids of one group, in the order asked, `undefined` for those that are absent. */
  async getMany(
    key: GroupKey,
    ids: readonly PayloadId[],
    options: CallOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    const { tenant, group } = resolveGroup(key);
    const names = ids.map((id) => resolveName("id", id));
    return this.#lookUp({ group }, options, async () => {
      const found = await this.#lookup.findMany(tenant, group, names);
      const wanted = found.flatMap((one) => (one ? { ...one, location: one.head.location } : []));
      const bodyOf = this.#bodies(tenant, wanted, options);
      const payloads: (Uint8Array | undefined)[] = [];
      let next = 0;
      for (const one of found) payloads.push(one && (await bodyOf(next++)));
      return payloads;
    });
  }

  /**
   * The payloads of a group, in the order of their first commit; an overwrite keeps an id's place.
   *
   * @param options  `after`: a cursor, to go on behind it; `limit`: at most so many
   * Cost: one read a page of the group; memory for the group's ids.
   */
  async *list(
    key: GroupKey,
    options: CallOptions & { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): AsyncGenerator<ListedPayload> {
    const { tenant, group } = resolveGroup(key);
    for (const { listed } of await this.#view(tenant, group, options)) {
      throwIfAborted(options.signal);
      yield listed;
    }
  }

  /**
   * The payloads of a tenant that have all these attributes, in whatever groups they are. None that was there all the time
   * is left out. What is written meanwhile may be among them or not; what is overwritten, or moved by compaction, may be so twice.
   *
   * In a folder they come in the order of their last commit, on DynamoDB group by group.
   *
   * @param options  `after`: a cursor, to go on behind it; `limit`: at most so many
   * @throws {PayloadStoreError} `CORRUPT` at the end, when damage may have taken some; `UNSUPPORTED` where the index keeps none
   *   of the attributes; `INVALID`
   *
   * Cost: one read for each page that brought payloads with the rarest of the attributes; on DynamoDB a query for each
   * group. No payload is read.
   */
  async *find(
    key: FindQuestion,
    options: CallOptions & { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): AsyncGenerator<ListedPayload> {
    const tenant = resolveTenant(key);
    const terms = termsOfQuestion(key.where);
    const limit = checkedLimit(options.limit);
    this.#enter(options);
    yield* findPayloads({ index: this.#ports.index, lookup: this.#lookup }, tenant, terms, { ...options, limit });
  }

  /** The payloads of a group with their bytes, as {@link list} orders them. Payloads that share a block decode it once. */
  async *contents(
    key: GroupKey,
    options: CallOptions & { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): AsyncGenerator<Payload> {
    const { tenant, group } = resolveGroup(key);
    const viewed = await this.#view(tenant, group, options);
    const wanted = viewed.map(({ listed, place, found }) => ({ location: listed.location, place, found }));
    const bodyOf = this.#bodies(tenant, wanted, options);
    for (const [i, { listed }] of viewed.entries()) {
      let body: Uint8Array | undefined;
      try {
        const reading = bodyOf(i);
        body = reading instanceof Promise ? await reading : reading;
      } catch (error) {
        if (!isPayloadStoreError(error, "GONE")) throw error;
      }
      if (body) {
        yield { ...listed, body };
        continue;
      }
      // A segment that went away since the group was looked up was compacted: the payload is looked up by its id.
      const found = await this.read({ tenant, group, id: listed.id }, { signal: options.signal });
      if (found) yield { ...listed, ...found };
    }
  }

  /**
   * The groups that have payloads, older ones first. For people and exports: the cost grows with the groups, and where
   * payloads of a group may have expired with its pages.
   */
  async *groups(key: TenantKey, options: CallOptions = {}): AsyncGenerator<GroupSummary> {
    this.#enter(options);
    try {
      const tenant = resolveTenant(key);
      for await (const { group, payloads: written, expiresMs } of this.#ports.index.groups(tenant)) {
        throwIfAborted(options.signal);
        if (written === 0) continue;
        const payloads = await this.#unexpired(tenant, group, { payloads: written, expiresMs });
        if (payloads > 0) yield { group, payloads };
      }
    } catch (error) {
      throw isPayloadStoreError(error, "GONE") ? segmentIsGone(error) : error;
    }
  }

  /** Deletes a payload, for good. @returns whether there was one. */
  async delete(key: PayloadKey, options: IdempotentOptions = {}): Promise<boolean> {
    const resolved = resolveKey(key);
    this.#enterWriting(options);
    const { tenant, group, id } = resolved;
    const outcome = await this.#hide(tenant, group, { deleted: [id] }, options, async () => {
      // What is damaged cannot be told from what is there; it is hidden all the same.
      const there = await this.#hasIfWhole(resolved);
      if (there && !there.value) return undefined;
      const basis = there?.basis ?? (await this.#ports.index.count(tenant, group)).basis;
      // The last one takes with it what the group had before.
      return { basis, clearsGroup: there !== undefined && this.#ports.index.isEmptied?.(tenant, group, 1) === true };
    });
    return outcome !== "nothing";
  }

  /**
   * Deletes all payloads of a group, for good, also those that are damaged.
   * @returns how many there were; 0 when a request with the same key has deleted them before
   */
  async deleteGroup(key: GroupKey, options: IdempotentOptions = {}): Promise<number> {
    const { tenant, group } = resolveGroup(key);
    this.#enterWriting(options);
    return this.#clear(tenant, group, options, (count) => this.#unexpired(tenant, group, count));
  }

  /** @param counted  how many payloads are hidden, by what the index counts; where that is none nothing is done */
  async #clear(
    tenant: string,
    group: string,
    options: IdempotentOptions,
    counted: (count: ExpiringCount) => Promise<number>,
  ): Promise<number> {
    let payloads = 0;
    const outcome = await this.#hide(tenant, group, { clearsGroup: true }, options, async () => {
      const count = await this.#ports.index.count(tenant, group);
      // What is damaged is hidden as well, and counts.
      payloads = await counted(count).catch(whenCorrupt(count.payloads));
      return payloads > 0 || count.incomplete ? { basis: count.basis } : undefined;
    });
    return outcome === "hidden" ? payloads : 0;
  }

  /**
   * Erases payloads for good, and keeps a receipt of it. It resolves once no answer has any of them, by a delete in each group;
   * meanwhile {@link erasures} tells how far it is. Their bytes go with the next compactions, which read first what held them,
   * and after their grace; {@link erasure} says when, and of which segments.
   *
   * What is stored while it goes on may be erased too. What was overwritten or deleted before in the groups that it looks
   * into is gone then as well.
   *
   * @throws {PayloadStoreError} `INVALID`; `UNSUPPORTED` where the store keeps no erasures; `CORRUPT` where damage keeps a group
   *   from being looked into: all others are hidden, and the next compaction takes it up again
   * Cost: a few writes of the receipt; with `group` a delete; with `everything` one for each group, as the groups are listed;
   *   with times or attributes alone it reads all pages of all groups.
   */
  async erase(key: TenantKey & ErasureSelector, options: CallOptions = {}): Promise<Erasure> {
    const tenant = resolveTenant(key);
    const selector = resolveSelector(key);
    this.#enterWriting(options);
    return receiptOf(await this.#erasing().begin(tenant, selector, options));
  }

  /** The receipt of an erasure as it is now, `undefined` if there is none. */
  async erasure(
    key: TenantKey & { readonly erasure: string },
    options: CallOptions = {},
  ): Promise<Erasure | undefined> {
    this.#enter(options);
    const tenant = resolveTenant(key);
    if (!/^[0-9a-f]{12}$/.test(key.erasure)) return undefined;
    const record = await this.#erasing().ledger.get(tenant, key.erasure);
    return record && receiptOf(record);
  }

  /** The receipts of a tenant, oldest first. */
  async erasures(key: TenantKey, options: CallOptions = {}): Promise<Erasure[]> {
    this.#enter(options);
    return (await this.#erasing().ledger.list(resolveTenant(key))).map(receiptOf);
  }

  /** Number of payloads of a tenant, exactly. Cost: none that grows. */
  async size(key: TenantKey): Promise<number> {
    this.#enter({});
    return (await this.#ports.index.totals(resolveTenant(key))).payloads;
  }

  async isEmpty(key: TenantKey): Promise<boolean> {
    return (await this.size(key)) === 0;
  }

  /**
   * What a tenant has. Cost: none that grows.
   * @param options  `full`: counts anew, by all pages, and is exact unless pages are lost
   */
  async stats(key: TenantKey, { full = false }: { readonly full?: boolean | undefined } = {}): Promise<Stats> {
    this.#enter({});
    const tenant = resolveTenant(key);
    const { index } = this.#ports;
    const counted = full ? await recount({ index, lookup: this.#lookup }, tenant) : await index.totals(tenant);
    const { payloads, rawBytes, storedBytes, none, lz4, zstd, exact } = counted;
    const ratio = storedBytes === 0 ? 1 : rawBytes / storedBytes;
    return { payloads, uncompressedBytes: rawBytes, compressedBytes: storedBytes, ratio, none, lz4, zstd, exact };
  }

  /**
   * The room that a tenant's payloads take. Cost: none that grows, and no read.
   * @param options  `full`: looks at the segments and counts by all pages
   * @throws {PayloadStoreError} `UNSUPPORTED` without `full` where several processes write: nobody keeps count
   */
  async storage(key: TenantKey, { full = false }: { readonly full?: boolean | undefined } = {}): Promise<StorageStats> {
    this.#enter({});
    const tenant = resolveTenant(key);
    const { index, segments } = this.#ports;
    const states = this.#segmentStates()?.filter((state) => state.tenant === tenant);
    const written = writtenBytes(this.#lanes, tenant);
    if (!full) {
      if (states) return storageOf(states, written);
      throw new PayloadStoreError("UNSUPPORTED", "this store keeps no count of its room: ask for the full one");
    }
    const there = (await segments.segments()).filter((summary) => summary.tenant === tenant);
    const bytes = there.reduce((sum, summary) => sum + summary.bytes, 0);
    const liveBytes = (await recount({ index, lookup: this.#lookup }, tenant)).inSegments;
    const { supersededSegments, supersededBytes } = storageOf(states ?? [], written);
    const stored = states?.reduce((sum, state) => sum + (state.removed || state.supersededMs ? 0 : state.stored), 0);
    const deadBytes = Math.max(0, (stored ?? bytes) - liveBytes);
    const counted = { segments: there.length, bytes, liveBytes, deadBytes, supersededSegments, supersededBytes };
    return withRatios({ ...counted, ...written });
  }

  /** As {@link storage} of all tenants together; `undefined` where nobody keeps count. Cost: no read. */
  storageOfAll(): StorageStats | undefined {
    const states = this.#segmentStates();
    return states && storageOf(states, writtenBytes(this.#lanes));
  }

  /** Resolves when everything acknowledged is durable, and the index can be opened without reading it again. */
  async flush(): Promise<void> {
    this.#enter({});
    await this.#ports.segments.flush();
    await this.#ports.index.checkpoint();
  }

  /** What {@link verify} will ask for, at most, and what that costs by a price list. Cost: a LIST for 1,000 segments. */
  async estimateVerify(prices?: Prices): Promise<VerifyEstimate> {
    this.#enter({});
    const { estimateVerify } = await import("./verify/estimate.ts");
    return estimateVerify(this.#ports, prices);
  }

  /** Reads and checks everything there is. Never on a request path. */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    this.#enter({});
    // Few processes ever do: what they load for it, no other has to.
    const { verifyStore } = await import("./verify/verify-store.ts");
    const report = await verifyStore(this.#ports, options);
    this.#watch.verified(report.counts);
    return report;
  }

  /**
   * Gives back the room of what is dead, and lays the payloads of a group together, compressed anew. Reads and writes go on
   * meanwhile, and may end it at any moment: what was done is kept, and the next run goes on.
   *
   * @throws {PayloadStoreError} `UNAVAILABLE`; `ABORTED` when its signal fires; `INVALID` for an option that is unknown
   * Cost: reads and writes what is alive in the segments of its plan; `dryRun` tells that before.
   */
  async compact(options: CompactOptions = {}): Promise<CompactionReport> {
    checkCompactOptions(options);
    if (options.tenant !== undefined) resolveTenant({ tenant: options.tenant });
    if (options.dryRun === true) this.#enter(options);
    else this.#enterWriting(options);
    if (!this.#compaction) throw new PayloadStoreError("UNSUPPORTED", "this store cannot be compacted");
    return this.#compaction.run(options);
  }

  /** Whether the store takes writes, and if not, why; and what else an operator should look at. Cost: no read. */
  health(): Health {
    const { segments, index } = this.#ports;
    const { failure } = segments;
    if (this.#closing) return { ok: false, reason: "the store is closed", degraded: [] };
    const degraded = this.#watch.degraded(this.storageOfAll() ?? { deadShare: 0, deadBytes: 0 }, index.damage());
    return failure ? { ok: false, reason: failure.message, degraded } : { ok: true, degraded };
  }

  /** Ends what was begun, saves the index, lets go of the store. Rejects if anything could not be saved. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#compaction?.stop();
      await this.#lanes.idle();
      try {
        await this.#ports.segments.close();
      } finally {
        await this.#ports.index.close();
      }
    })();
    return this.#closing;
  }

  /** Runs `work` while no write is under way; writes that come meanwhile wait for it. */
  protected withoutWrites<T>(work: () => Promise<T>): Promise<T> {
    this.#enter({});
    return this.#lanes.exclusively(work);
  }

  async #draft(
    tenant: string,
    items: readonly (PayloadInput & { readonly id: PayloadId })[],
    options: CallOptions,
  ): Promise<PageDraft> {
    this.#enterWriting(options);
    const draft = await draftPage(tenant, items, this.#drafting);
    throwIfAborted(options.signal);
    return draft;
  }

  /** Commits a draft, or finds that a request with its key was committed before. */
  async #commit(
    tenant: string,
    group: string,
    draft: Promise<PageDraft>,
    { idempotencyKey }: IdempotentOptions,
    refuse?: () => Promise<Basis>,
  ): Promise<Location[]> {
    if (idempotencyKey === undefined && !refuse) return locationsOf(await this.#lanes.append(tenant, group, draft));
    draft.catch(() => {});
    let before: Location[] | undefined;
    const committed = await this.#lanes.decide(tenant, group, async () => {
      const request =
        idempotencyKey === undefined ? undefined : requestOf(idempotencyKey, await draft, this.#ports.digest);
      const answered = request && (await lookedUp({ group }, () => this.#lookup.answered(tenant, group, request)));
      before = answered?.value;
      if (before) return undefined;
      // What is malformed, too large or comes too late is refused as such, also where the id is taken.
      const drafted = await draft;
      // Of two answers the older state decides: a page that came between them takes the sequence.
      const basis = [answered?.basis, await refuse?.()].reduce((a, b) => (a && b ? olderOf(a, b) : (a ?? b)));
      invariant(basis !== undefined, "a decision rests on something");
      return { draft: { ...drafted, request }, basis };
    });
    return committed ? locationsOf(committed) : (before ?? []);
  }

  /**
   * Commits a page that only hides, unless a request with its key was committed before, or there is nothing to hide.
   * @param look  answers the state of the group in which there is something, and whether all of it goes; or nothing
   */
  async #hide(
    tenant: string,
    group: string,
    hides: Pick<PageDraft, "clearsGroup" | "deleted">,
    { idempotencyKey }: IdempotentOptions,
    look: () => Promise<{ readonly basis: Basis; readonly clearsGroup?: boolean } | undefined>,
  ): Promise<"hidden" | "hidden before" | "nothing"> {
    const draft: PageDraft = { ...hides, entries: [], blocks: [] };
    const request = idempotencyKey === undefined ? undefined : requestOf(idempotencyKey, draft, this.#ports.digest);
    let isRepeated = false;
    const committed = await this.#lanes.decide(tenant, group, async () => {
      // Where damage may have taken the answer, hiding once more is what was asked for.
      const answering = request && lookedUp({ group }, () => this.#lookup.answered(tenant, group, request));
      const answered = await answering?.catch(whenCorrupt(undefined));
      isRepeated = answered?.value !== undefined;
      const seen = isRepeated ? undefined : await look();
      if (!seen) return undefined;
      const clearsGroup = draft.clearsGroup === true || seen.clearsGroup === true;
      const basis = answered ? olderOf(answered.basis, seen.basis) : seen.basis;
      return { draft: { ...draft, clearsGroup, request }, basis };
    });
    if (committed) return "hidden";
    return isRepeated ? "hidden before" : "nothing";
  }

  /** Whether there is a payload, and the state of its group; `undefined` where damage may have taken the answer. */
  async #hasIfWhole(key: ResolvedKey): Promise<Decided<boolean> | undefined> {
    try {
      return await this.#lookup.has(key);
    } catch (error) {
      return whenCorrupt(undefined)(error);
    }
  }

  /** How many payloads a group has that have not expired. */
  async #unexpired(tenant: string, group: string, counted: ExpiringCount): Promise<number> {
    if (!isExpired(counted, this.#ports.clock.nowMs())) return counted.payloads;
    const { view } = await lookedUp({ group }, () => this.#lookup.view(tenant, group));
    return view.payloads().length;
  }

  #lookUp<T>(key: Named, options: CallOptions, look: () => T | Promise<T>): T | Promise<T> {
    this.#enter(options);
    return lookUp(key, look, options.signal);
  }

  /** What of a group is asked for, in order. */
  async #view(
    tenant: string,
    group: string,
    options: CallOptions & { readonly after?: string | undefined; readonly limit?: number | undefined },
  ): Promise<readonly ViewedPayload[]> {
    const limit = checkedLimit(options.limit);
    const { view } = await this.#lookUp({ group }, options, () => this.#lookup.view(tenant, group));
    return view.payloads(options.after, Math.floor(limit));
  }

  /** Reads payloads by their number, best one after the other: neighbours are read together. */
  #bodies(
    tenant: string,
    wanted: readonly Wanted[],
    options: CallOptions,
  ): (i: number) => Uint8Array | Promise<Uint8Array> {
    const reader = this.#reader(tenant);
    const coalescing = new Coalescing(this.#ports.segments, tenant, wanted);
    return (i) => {
      throwIfAborted(options.signal);
      const { location, found } = wanted[i]!;
      const place = coalescing.place(i);
      if (place instanceof Promise)
        return place.then((held) => reader.read(location, undefined, { place: held, found }));
      return reader.read(location, undefined, { place, found });
    };
  }

  /** What the page says of a location, where it takes the page to read it. */
  async #knownOf(tenant: string, location: Location): Promise<KnownPayload | undefined> {
    if (!location.page) return undefined;
    const { sequence } = location.page;
    const group = resolveName("group", location.page.group);
    const record = await this.#ports.index.record(tenant, group, sequence);
    const known = record && (await this.#lookup.at(record, location));
    if (known) return known;
    const message = `page ${sequence} of ${describeKey({ group })} does not hold the payload any more`;
    throw new PayloadStoreError("GONE", message, { details: { tenant, group, sequence } });
  }

  #reader(tenant: string): PayloadReader {
    const { codecs, uploads, digest, blocks } = this.#ports;
    return new PayloadReader(tenant, {
      frames: this.#frames,
      codecs,
      cache: blocks,
      uploads: uploads && new UploadBlocks(uploads, digest),
    });
  }

  /** What the index knows of segments, and how long those are that it has not saved yet. */
  #segmentStates(): readonly SegmentState[] | undefined {
    const { index, segments } = this.#ports;
    return index.segmentStates?.().map((state) => ({
      ...state,
      bytes: segments.writtenBytes?.(state.tenant, state.segment) ?? state.bytes,
    }));
  }

  #enter(options: CallOptions): void {
    throwIfAborted(options.signal);
    if (this.#closing) throw new PayloadStoreError("CLOSED", "the store is closed");
  }

  #enterWriting(options: CallOptions): void {
    this.#enter(options);
    if (this.#readOnly) throw new PayloadStoreError("INVALID", "the store was opened read-only");
    if (this.#ports.segments.failure) throw this.#ports.segments.failure;
  }
}

function writtenBytes({ written }: CommitLanes, only?: string): WrittenBytes {
  const total = { appendedBytes: 0, compactedBytes: 0 };
  for (const [tenant, { appendedBytes, compactedBytes }] of written) {
    if (only !== undefined && tenant !== only) continue;
    total.appendedBytes += appendedBytes;
    total.compactedBytes += compactedBytes;
  }
  return total;
}

function bodyAlone(_head: PayloadHead, body: Uint8Array): Uint8Array {
  return body;
}

function withBody(head: PayloadHead, body: Uint8Array): Payload {
  return { ...head, body };
}

function locationsOf(committed: Committed): Location[] {
  return committed.entries.map((entry) => locationOf(committed, entry));
}

/** What was begun to be read, from its first piece on. */
async function* resumed(
  first: IteratorResult<Uint8Array, void>,
  rest: AsyncGenerator<Uint8Array, void>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  try {
    for (let piece = first; !piece.done; piece = await rest.next()) {
      throwIfAborted(signal);
      yield piece.value;
    }
  } finally {
    await rest.return();
  }
}

function refuseLonger(head: PayloadHead, { range, bytesMax = limits.readBytesMax }: ReadOptions): void {
  const bytes = range ? Math.min(range.end, head.bytes) - range.start : head.bytes;
  if (!(bytes > bytesMax)) return;
  const message = `${bytes} bytes are more than ${bytesMax}: stream them, or read them in parts`;
  throw new PayloadStoreError("TOO_LARGE", message, { details: { bytes, bytesMax } });
}

function olderOf(a: Basis, b: Basis): Basis {
  const closed = a.closed ?? b.closed;
  return { sequence: Math.min(a.sequence, b.sequence), knownMs: Math.min(a.knownMs, b.knownMs), closed };
}

interface Selected {
  readonly ids: readonly string[];
  readonly basis: Basis;
  /** Whether it is all that there is, and not what was asked for. */
  readonly isWhole: boolean;
}

function checkedLimit(limit = Infinity): number {
  if (limit >= 0) return limit;
  throw new PayloadStoreError("INVALID", "limit must be 0 or more", { details: { field: "limit" } });
}

function whenCorrupt<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (isPayloadStoreError(error, "CORRUPT") || isPayloadStoreError(error, "GONE")) return instead;
    throw error;
  };
}
