import { isPayloadStoreError } from "../../../core/errors.ts";
import type { PageRecord } from "../../../core/ports/offset-index.ts";
import type { RowPage } from "../../../core/ports/row-table.ts";
import { changed } from "../changed.ts";
import type { Bug } from "./bug.ts";
import type { ProcessSegments } from "./process-segments.ts";

/** Mistakes that schedules must find, by names that say what is wrong. */
export const bugs = {
  "a row is put over another": {
    rows: (rows) =>
      changed(rows, {
        put: async (key, record, condition, restsOnMs) => {
          const put = await rows.put(key, record, condition, restsOnMs);
          if (put.kind === "done" || !put.there?.record) return put;
          return rows.put(key, record, { holds: put.there.record }, restsOnMs);
        },
      }),
  },
  "one's own row counts as another's": {
    rows: (rows) =>
      changed(rows, {
        put: async (key, record, condition, restsOnMs) => {
          const put = await rows.put(key, record, condition, restsOnMs);
          return put.kind === "done" ? put : { ...put, there: undefined };
        },
      }),
  },
  "a put that is not answered counts as a lost race": {
    rows: (rows) =>
      changed(rows, {
        put: (key, record, condition, restsOnMs) =>
          rows.put(key, record, condition, restsOnMs).catch((error: unknown) => {
            if (!isPayloadStoreError(error, "UNAVAILABLE")) throw error;
            return { kind: "refused", signedMs: restsOnMs, there: undefined };
          }),
      }),
  },
  "a put that is not answered counts as done": {
    index: (index) =>
      changed(index, {
        commit: (record, page, basis) =>
          index.commit(record, page, basis).catch((error: unknown) => {
            if (!isPayloadStoreError(error, "UNAVAILABLE")) throw error;
            return { kind: "committed" };
          }),
      }),
  },
  "a commit is acknowledged before it is one": {
    index: (index) =>
      changed(index, {
        commit: async (record, page, basis) => {
          index.commit(record, page, basis).catch(() => {});
          return { kind: "committed" };
        },
      }),
  },
  "a decision is not made anew": {
    index: (index) =>
      changed(index, {
        commit: async (record, page, basis) => {
          const outcome = await index.commit(record, page, basis);
          if (outcome.kind === "committed" || !basis) return outcome;
          return index.commit({ ...record, sequence: outcome.last + 1 }, page);
        },
      }),
  },
  "a decision is committed under the newest number that is known": {
    index: (index, { process }) =>
      changed(index, {
        commit: async (record, page, basis) => {
          await process.sleep(50);
          const newest = await index.lastSequence(record.tenant, record.group);
          if (!basis || newest <= basis.sequence) return index.commit(record, page, basis);
          return index.commit({ ...record, sequence: newest + 1 }, page);
        },
      }),
  },
  "a key is looked up once": {
    index: (index) => {
      const lookedUp = new Map<string, readonly PageRecord[]>();
      return changed(index, {
        requests: async (tenant, group, key) => {
          const answer = await index.requests(tenant, group, key);
          const name = `${group}/${key}`;
          const records = lookedUp.get(name) ?? answer.records;
          lookedUp.set(name, records);
          return { ...answer, records };
        },
      });
    },
  },
  "the first page of a query is all of it": {
    rows: (rows) =>
      changed(rows, {
        async *query(partition, from) {
          for await (const page of rows.query(partition, from)) {
            yield page;
            return;
          }
        },
      }),
  },
  "a query is answered from what was so a while ago": {
    rows: (rows, { process }) => {
      const answered = new Map<string, readonly RowPage[]>();
      return changed(rows, {
        async *query(partition, from) {
          const before = answered.get(partition);
          if (before && process.bytes(1)[0]! < 40) return yield* before;
          const pages: RowPage[] = [];
          for await (const page of rows.query(partition, from)) {
            pages.push(page);
            yield page;
          }
          answered.set(partition, pages);
        },
      });
    },
  },
  "a row forgets what its page hides": {
    index: (index) =>
      changed(index, {
        commit: (record, page, basis) => {
          if (record.place.inline || page.clearsGroup) return index.commit(record, page, basis);
          const place = { ...record.place, held: undefined };
          return index.commit({ ...record, place }, { ...page, deleted: [] }, basis);
        },
      }),
  },
  "a segment is removed after its commit was not answered": {
    index: (index, { segments }) =>
      changed(index, {
        commit: async (record, page, basis) => {
          try {
            return await index.commit(record, page, basis);
          } catch (error) {
            await removeSegmentOf(segments, record);
            throw error;
          }
        },
      }),
  },
  "a segment is removed after its commit lost a race": {
    index: (index, { segments }) =>
      changed(index, {
        commit: async (record, page, basis) => {
          const outcome = await index.commit(record, page, basis);
          if (outcome.kind === "taken") await removeSegmentOf(segments, record);
          return outcome;
        },
      }),
  },
  "a page is committed before its segment is stored": { segmentRules: { waitsForPut: false } },
  "a merged segment is removed after its row was not answered": {
    rows: (rows, { segments }) =>
      changed(rows, {
        put: async (key, record, condition, restsOnMs) => {
          try {
            return await rows.put(key, record, condition, restsOnMs);
          } catch (error) {
            if (condition !== "free" && isPayloadStoreError(error, "UNAVAILABLE")) {
              const [tenant = ""] = key.partition.split("/");
              await segments.remove([{ tenant, name: segmentOf(record) }]);
            }
            throw error;
          }
        },
      }),
  },
  "what no row refers to is removed at once": { times: { orphanMs: 0 } },
  "what is on its way when an erasure is seen is not waited for": { times: { erasedLateMs: 0 } },
  "an erasure is gone before the grace is over": {
    erasures: (ledger) =>
      changed(ledger, {
        put: (record) => ledger.put(record.state === "waiting" ? { ...record, state: "gone" } : record),
      }),
  },
  "what an erasure is of is removed in name only": {
    objects: (objects) => changed(objects, { remove: async () => {} }),
  },
} as const satisfies Readonly<Record<string, Bug>>;

/** Mistakes that take more schedules to show: most rules of compaction stand before one another. */
export const rareBugs = {
  "segments are not compared with the rows before an erasure is gone": {
    erasures: (ledger) =>
      changed(ledger, {
        put: (record) =>
          ledger.put(record.shared ? { ...record, shared: { ...record.shared, surveyed: true } } : record),
      }),
  },
  "a row is removed whatever it holds": {
    rows: (rows) =>
      changed(rows, {
        remove: async (key, record, restsOnMs) => {
          const removed = await rows.remove(key, record, restsOnMs);
          if (removed.kind === "done" || !removed.there?.record) return removed;
          return rows.remove(key, removed.there.record, restsOnMs);
        },
      }),
  },
  "what is covered or closed is removed at once": { times: { graceMs: 0, graceMsMin: 0, arrivalMs: 0 } },
  "a commit is not fenced": {
    rows: (rows) =>
      changed(rows, { put: (key, record, condition) => rows.put(key, record, condition, Number.POSITIVE_INFINITY) }),
  },
  "a row is replaced whatever it holds, and however late": {
    rows: (rows) =>
      changed(rows, {
        put: async (key, record, condition, restsOnMs) => {
          if (condition === "free") return rows.put(key, record, condition, restsOnMs);
          const put = await rows.put(key, record, condition, Infinity);
          if (put.kind === "done" || !put.there?.record) return put;
          return rows.put(key, record, { holds: put.there.record }, Infinity);
        },
      }),
  },
} as const satisfies Readonly<Record<string, Bug>>;

async function removeSegmentOf(segments: ProcessSegments, { tenant, place }: PageRecord): Promise<void> {
  if (!place.inline) await segments.remove([{ tenant, name: place.segment }]);
}

/** The segment that a row names: docs/format.md §11. */
function segmentOf(record: Uint8Array): string {
  return new TextDecoder().decode(record.subarray(3, 29));
}
