import { hex } from "../bytes.ts";
import { errorCodes, isPayloadStoreError, PayloadStoreError, throwIfAborted } from "../errors.ts";
import type { CallOptions } from "../payload.ts";
import type { Clock } from "../ports/clock.ts";
import type { ErasureLedger } from "../ports/erasure-ledger.ts";
import type { OffsetIndex } from "../ports/offset-index.ts";
import type { Random } from "../ports/random.ts";
import type { SegmentStore } from "../ports/segment-store.ts";
import { type ErasedSegment, type ErasureRecord, type ErasureWish, takesGroups } from "./erasure.ts";

export interface EraserTools {
  readonly ledger: ErasureLedger;
  readonly index: OffsetIndex;
  readonly segments: SegmentStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Hides all that a group has. @returns how many payloads that were */
  readonly hideGroup: (tenant: string, group: string) => Promise<number>;
  /** The ids that a wish means of a group; where damage hides them, those that it names. */
  readonly selected: (tenant: string, group: string, wish: ErasureWish) => Promise<readonly string[]>;
  /** Hides these. @returns how many that were */
  readonly hideSelected: (tenant: string, group: string, wish: ErasureWish) => Promise<number>;
}

/** Groups that are hidden between two writes of the record. */
const groupsAtOnce = 64;

/** An erasure that nobody has gone on with for so long is taken up again by another process, in milliseconds: the life of a handler. */
const abandonedMs = 900_000;

const idBytes = 6;

/**
 * Hides what is to be erased, and writes down where it lay, so that compaction knows which segments have to go.
 *
 * The record is durable before anything is hidden, and names the groups that are about to be hidden and the segments they lie
 * in. So wherever it is interrupted, whoever takes it up misses no segment.
 */
export class Eraser {
  readonly ledger: ErasureLedger;
  readonly #tools: EraserTools;
  readonly #underWay = new Set<string>();

  constructor(tools: EraserTools) {
    this.#tools = tools;
    this.ledger = tools.ledger;
  }

  /**
   * Resolves once no answer has any of it.
   * @throws {PayloadStoreError} `CORRUPT` where damage keeps a group from being looked into: all others are hidden, and the
   *   erasure is taken up again by the next compaction
   */
  async begin(tenant: string, selector: ErasureWish, options: CallOptions): Promise<ErasureRecord> {
    const { random, clock } = this.#tools;
    const record: ErasureRecord = {
      tenant,
      id: hex(random.bytes(idBytes)),
      state: "hiding",
      selector,
      requestedMs: Math.floor(clock.nowMs()),
      groups: 0,
      payloads: 0,
      unknown: [],
      segments: [],
      successors: [],
      version: 0,
      pending: [],
    };
    // Compaction may see the record before this hears that it is kept.
    return this.#alone(record, async () => this.#hide(await this.save(record), options));
  }

  /** Goes on with an erasure that was interrupted. @returns it as it is then, `undefined` while somebody is at it */
  async resume(record: ErasureRecord): Promise<ErasureRecord | undefined> {
    const { index, clock } = this.#tools;
    if (this.#underWay.has(nameOf(record))) return undefined;
    if (index.shared && record.requestedMs + abandonedMs > clock.nowMs()) return undefined;
    return this.#alone(record, () => this.#hide(record, {}));
  }

  /** Nobody else in this process takes it up meanwhile. */
  async #alone(record: ErasureRecord, work: () => Promise<ErasureRecord>): Promise<ErasureRecord> {
    const name = nameOf(record);
    this.#underWay.add(name);
    try {
      return await work();
    } finally {
      this.#underWay.delete(name);
    }
  }

  /** Keeps a record as its next version. @throws {PayloadStoreError} `CONFLICT` when another process changed it */
  async save(record: ErasureRecord): Promise<ErasureRecord> {
    const next = { ...record, version: record.version + 1 };
    if (await this.ledger.put(next)) return next;
    throw new PayloadStoreError("CONFLICT", `another process is at erasure ${record.id}`, {
      details: { tenant: record.tenant, erasure: record.id },
    });
  }

  async #hide(begun: ErasureRecord, { signal }: CallOptions): Promise<ErasureRecord> {
    let record = begun;
    let failure: PayloadStoreError | undefined;
    for await (const groups of this.#batches(begun)) {
      throwIfAborted(signal);
      const held = await this.#segmentsOf(record.tenant, groups);
      const unknown = await this.#unknownTo(record, groups);
      record = await this.save({ ...withSegments(record, held), pending: groups, unknown });
      for (const group of groups) {
        try {
          record = await this.#hideIn(record, group);
        } catch (error) {
          if (!isPayloadStoreError(error, "CORRUPT")) throw error;
          failure ??= error;
        }
      }
      // What was merged meanwhile lies elsewhere too.
      record = withSegments(record, await this.#segmentsOf(record.tenant, groups));
    }
    if (failure) {
      await this.save({ ...record, reason: `${failure.message}: ${errorCodes.CORRUPT.action}, then compact again` });
      throw failure;
    }
    if (record.selector.everything && !this.#tools.index.shared)
      record = withSegments(record, await this.#allOf(record.tenant));
    else record = withSegments(record, this.#torn(record.tenant));
    return await this.save({
      ...record,
      state: "hidden",
      reason: undefined,
      hiddenMs: Math.floor(this.#tools.clock.nowMs()),
      pending: [],
    });
  }

  async #hideIn(record: ErasureRecord, group: string): Promise<ErasureRecord> {
    const { hideGroup, hideSelected } = this.#tools;
    const { tenant, selector, unknown } = record;
    const groups = record.groups + 1;
    const hide = takesGroups(selector) ? hideGroup : hideSelected;
    const hidden = await hide(tenant, group, selector);
    // What was hidden before it was taken up again counts as well.
    const payloads = selector.ids ? selector.ids.length - unknown.length : record.payloads + hidden;
    return { ...record, groups, payloads };
  }

  /** Of ids that are named, those that are not there; looked up before the first of them is hidden. */
  async #unknownTo(
    { tenant, selector, pending, unknown }: ErasureRecord,
    [group]: readonly string[],
  ): Promise<readonly string[]> {
    if (!selector.ids || group === undefined || pending.length > 0) return unknown;
    const found = new Set(await this.#tools.selected(tenant, group, selector));
    return selector.ids.filter((id) => !found.has(id));
  }

  /** Groups to look into: those of an interrupted batch first. */
  async *#batches({ tenant, selector, pending }: ErasureRecord): AsyncGenerator<readonly string[]> {
    if (selector.group !== undefined) {
      yield [selector.group];
      return;
    }
    if (pending.length > 0) yield pending;
    let batch: string[] = [];
    for await (const { group } of this.#tools.index.groups(tenant)) {
      batch.push(group);
      if (batch.length < groupsAtOnce) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  /**
   * Segments that have a page of these groups, hidden ones too, as far as the index knows. Where several processes write it
   * does not know: compaction finds them.
   */
  async #segmentsOf(tenant: string, groups: readonly string[]): Promise<readonly string[]> {
    const { index } = this.#tools;
    if (index.shared) return [];
    const names = new Set<string>();
    for (const group of groups) {
      const pages = index.history?.(tenant, group) ?? (await index.records(tenant, group)).records;
      for (const { place } of pages) if (!place.inline) names.add(place.segment);
    }
    return [...names];
  }

  async #allOf(tenant: string): Promise<readonly string[]> {
    const all = await this.#tools.segments.segments();
    return all.filter((summary) => summary.tenant === tenant).map(({ segment }) => segment);
  }

  /** Segments with bytes that no page names: what is in them nobody can tell. */
  #torn(tenant: string): readonly string[] {
    return this.#tools.index.torn?.(tenant) ?? [];
  }
}

function withSegments(record: ErasureRecord, names: readonly string[]): ErasureRecord {
  const known = new Set(record.segments.map(({ segment }) => segment));
  const found = names.filter((name) => !known.has(name)).map((segment): ErasedSegment => ({ segment, state: "held" }));
  return found.length === 0 ? record : { ...record, segments: [...record.segments, ...found] };
}

function nameOf({ tenant, id }: ErasureRecord): string {
  return `${tenant}/${id}`;
}
