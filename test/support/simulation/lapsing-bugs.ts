import { isPayloadStoreError } from "../../../core/errors.ts";
import { isExpired } from "../../../core/expiry.ts";
import { decodePage, encodePage, type PageEntry } from "../../../core/page/page.ts";
import type { AttributeRowPage } from "../../../core/ports/attribute-table.ts";
import type { GroupSummary } from "../../../core/ports/offset-index.ts";
import { changed } from "../changed.ts";
import type { Bug } from "./bug.ts";

const hourMs = 3_600_000;

/** Mistakes about what expires, what is found, and what an erasure is of. */
export const lapsingBugs = {
  "compaction keeps what has expired": merging((entry, nowMs) =>
    isExpired(entry, nowMs) ? { ...entry, expiresMs: undefined } : entry,
  ),
  "compaction leaves out what expires within the hour": merging((entry, nowMs) =>
    isExpired(entry, nowMs + hourMs) ? { ...entry, expiresMs: 0 } : entry,
  ),
  "a merged page forgets attributes": merging((entry) => ({ ...entry, attributes: undefined })),
  "a row forgets that what it brings expires": {
    index: (index) =>
      changed(index, {
        commit: (record, page, basis) => {
          const entries = page.entries.map((entry) => ({ ...entry, expiresMs: undefined }));
          return index.commit(record, { ...page, entries }, basis);
        },
      }),
  },
  "a page is committed before the rows that it is found by": {
    attributes: (table) =>
      changed(table, {
        put: async (partition, number, record, putMs) => {
          table.put(partition, number, record, putMs).catch(() => {});
          return { signedMs: putMs };
        },
      }),
  },
  "the groups that have a subject are asked for once": {
    attributes: (table) => {
      const answered = new Map<string, Promise<AttributeRowPage>>();
      return changed(table, {
        query: (partition, from, rowsMax) => {
          const asking = answered.get(partition) ?? table.query(partition, from, rowsMax);
          answered.set(partition, asking);
          return asking;
        },
      });
    },
  },
  "a row to be found by is put once in the life of a process": {
    attributes: (table) => {
      const known = new Set<string>();
      return changed(table, {
        put: async (partition, number, record, putMs) => {
          const name = `${partition} ${number}`;
          if (known.has(name)) return { signedMs: putMs };
          const put = await table.put(partition, number, record, putMs);
          known.add(name);
          return put;
        },
      });
    },
  },
  "an erasure passes over the last group": {
    index: (index) =>
      changed(index, {
        async *groups(tenant) {
          let last: GroupSummary | undefined;
          for await (const summary of index.groups(tenant)) {
            if (last) yield last;
            last = summary;
          }
        },
      }),
  },
  "an erasure also takes what was committed at its end": {
    store: (store) =>
      changed(store, {
        erase: ({ toMs, ...key }, options) =>
          store.erase({ ...key, toMs: toMs === undefined ? undefined : toMs + 1 }, options),
      }),
  },
  "an erasure leaves what was committed at its beginning": {
    store: (store) =>
      changed(store, {
        erase: ({ fromMs, ...key }, options) =>
          store.erase({ ...key, fromMs: fromMs === undefined ? undefined : fromMs + 1 }, options),
      }),
  },
} as const satisfies Readonly<Record<string, Bug>>;

/** Mistakes of that kind that take more schedules to show. */
export const rareLapsingBugs = {
  "what compaction leaves out hides nothing any more": merging((entry, nowMs) =>
    isExpired(entry, nowMs) ? { ...entry, id: `not ${entry.id}` } : entry,
  ),
  "a row to be found by is removed though it was put again": {
    attributes: (table) =>
      changed(table, {
        removePutBefore: (partition, number) => table.removePutBefore(partition, number, Infinity),
      }),
  },
  "a row to be found by that is not answered counts as put": {
    attributes: (table) =>
      changed(table, {
        put: (partition, number, record, putMs) =>
          table.put(partition, number, record, putMs).catch((error: unknown) => {
            if (!isPayloadStoreError(error, "UNAVAILABLE")) throw error;
            return { signedMs: putMs };
          }),
      }),
  },
} as const satisfies Readonly<Record<string, Bug>>;

/** Compaction takes what pages bring for something else. */
function merging(change: (entry: PageEntry, nowMs: number) => PageEntry): Bug {
  return {
    merged: (frames, { process }) =>
      changed(frames, {
        head: async (tenant, place) => {
          const head = await frames.head(tenant, place);
          const page = decodePage(head.page);
          if (!page.ok) return head;
          const entries = page.value.entries.map((entry) => change(entry, process.nowMs()));
          return { ...head, page: encodePage({ ...page.value, entries }) };
        },
      }),
  };
}
