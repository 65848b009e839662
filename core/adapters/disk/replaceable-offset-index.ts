import type { Page } from "../../page/page.ts";
import type {
  CommitOutcome,
  GroupCount,
  GroupSummary,
  OffsetIndex,
  PageRecord,
  Records,
  Totals,
} from "../../ports/offset-index.ts";
import type { SegmentDamage } from "../../segment/scan.ts";

/** An index that another one can take the place of while the store is open. */
export class ReplaceableOffsetIndex implements OffsetIndex {
  #inner: OffsetIndex;

  constructor(inner: OffsetIndex) {
    this.#inner = inner;
  }

  /** The caller sees to it that nothing is being committed. */
  replace(inner: OffsetIndex): void {
    this.#inner = inner;
  }

  commit(record: PageRecord, page: Page): Promise<CommitOutcome> {
    return this.#inner.commit(record, page);
  }

  prepare(tenant: string, group: string, page: Page): void {
    this.#inner.prepare?.(tenant, group, page);
  }

  lastSequence(tenant: string, group: string): Promise<number> {
    return this.#inner.lastSequence(tenant, group);
  }

  records(tenant: string, group: string, id?: string): Records | Promise<Records> {
    return this.#inner.records(tenant, group, id);
  }

  requests(tenant: string, group: string, key: string): Promise<Records> {
    return this.#inner.requests(tenant, group, key);
  }

  record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined> {
    return this.#inner.record(tenant, group, sequence);
  }

  count(tenant: string, group: string): Promise<GroupCount> {
    return this.#inner.count(tenant, group);
  }

  groups(tenant: string): AsyncIterable<GroupSummary> {
    return this.#inner.groups(tenant);
  }

  all(): AsyncIterable<PageRecord> {
    return this.#inner.all();
  }

  totals(tenant: string): Promise<Totals> {
    return this.#inner.totals(tenant);
  }

  damage(): readonly SegmentDamage[] {
    return this.#inner.damage();
  }

  checkpoint(): Promise<void> {
    return this.#inner.checkpoint();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
