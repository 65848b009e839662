import type { Handler } from "./handler.ts";

export interface CollectorRules {
  /**
   * How long after it was put an object may be that no page names yet, in milliseconds: a row that names it was signed at most
   * 15 minutes after the object was, arrives at most 5 later, and dates of signatures lie 15 minutes around the server's time.
   */
  readonly orphanMsMin: number;
  /** Looks which objects are named only after it knows which there are. */
  readonly looksAfterwards: boolean;
}

export const collectorRules: CollectorRules = { orphanMsMin: 40 * 60_000, looksAfterwards: true };

/**
 * Removes the segments that no page names and none will: those of appends that failed. What is named is asked after the
 * objects were listed, so that a page that came since then is either seen or too late to come.
 */
export async function collectOrphans({ index, segments }: Handler, rules: CollectorRules): Promise<number> {
  const namedBefore = rules.looksAfterwards ? undefined : await namedSegments(index);
  const { objects, askedMs } = await segments.list();
  const old = objects.filter(({ putMs }) => askedMs - putMs >= rules.orphanMsMin);
  if (old.length === 0) return 0;
  const named = namedBefore ?? (await namedSegments(index));
  let removed = 0;
  for (const { key } of old) {
    if (named.has(key)) continue;
    await segments.remove(key);
    removed += 1;
  }
  return removed;
}

async function namedSegments(index: Handler["index"]): Promise<ReadonlySet<string>> {
  const named = new Set<string>();
  for await (const { tenant, place } of index.all()) named.add(`segments/${tenant}/${place.segment}.seg`);
  return named;
}
