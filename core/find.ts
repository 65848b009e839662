import { isPayloadStoreError, PayloadStoreError, throwIfAborted } from "./errors.ts";
import type { TenantKey } from "./key.ts";
import { lookedUp } from "./looked-up.ts";
import type { Lookup } from "./lookup.ts";
import type { Attributes } from "./page/page.ts";
import { hasTerms, type Term } from "./page/terms.ts";
import type { CallOptions, ListedPayload, PayloadHead } from "./payload.ts";
import type { Candidate, OffsetIndex } from "./ports/offset-index.ts";

/** What payloads are looked for. */
export interface FindQuestion extends TenantKey {
  /** Attributes with the values that a payload has to have, all of them. */
  readonly where: Attributes;
}

interface FindPorts {
  readonly index: OffsetIndex;
  readonly lookup: Lookup;
}

/** A payload at a place among those of its candidate, which a cursor names. */
interface Match {
  readonly position: string;
  readonly head: PayloadHead;
}

/** Candidates that are looked into at once, where each is a request; a find begins with one, for it may want no more. */
const candidatesAtOnce = 16;

/**
 * Walks the candidates of an index, looks into each, and keeps what is alive and has all terms. What cannot be read is not
 * left out in silence: it ends the answer with its error.
 */
export async function* findPayloads(
  ports: FindPorts,
  tenant: string,
  terms: readonly Term[],
  options: CallOptions & { readonly after?: string | undefined; readonly limit: number },
): AsyncGenerator<ListedPayload> {
  const { index } = ports;
  if (!index.candidates) throw new PayloadStoreError("UNSUPPORTED", "the store's index keeps no attributes");
  const after = options.after === undefined ? undefined : parseCursor(options.after);
  let left = options.limit;
  if (left === 0) return;
  let failure: PayloadStoreError | undefined;
  let last: Candidate | undefined;
  for (let more = true; more;) {
    more = false;
    for await (const found of growing(index.candidates(tenant, terms, last?.cursor ?? after?.candidate))) {
      throwIfAborted(options.signal);
      const candidates = found.filter(({ cursor }) => cursor !== last?.cursor);
      if (candidates.length === 0) continue;
      last = candidates.at(-1);
      // A page that takes the place of others while they are looked into comes behind them.
      more = last?.kind === "page";
      const looked = await Promise.all(
        candidates.map((candidate) => {
          const position = after?.candidate === candidate.cursor ? after.position : undefined;
          return matchesIn(ports, tenant, terms, candidate, position).catch((error: unknown) => {
            if (!isPayloadStoreError(error, "CORRUPT")) throw error;
            failure ??= error;
            return [];
          });
        }),
      );
      for (const [i, matches] of looked.entries()) {
        for (const { position, head } of matches) {
          throwIfAborted(options.signal);
          yield { ...head, cursor: `${candidates[i]!.cursor}_${position}` };
          left -= 1;
          if (left === 0) return;
        }
      }
    }
  }
  if (failure) throw failure;
}

/**
 * A candidate whose segment went away was compacted, if the index names it no more: its successor is a candidate too. So it is
 * with a page that decides about one of its ids, which may go while the candidate stays.
 */
async function matchesIn(
  ports: FindPorts,
  tenant: string,
  terms: readonly Term[],
  candidate: Candidate,
  after: string | undefined,
): Promise<Match[]> {
  let at: Candidate | undefined;
  return lookedUp(undefined, async () => {
    at = at ? await candidateAt(ports, tenant, terms, candidate) : candidate;
    return at ? look(ports, tenant, terms, at, after) : [];
  });
}

async function candidateAt(
  { index }: FindPorts,
  tenant: string,
  terms: readonly Term[],
  { cursor }: Candidate,
): Promise<Candidate | undefined> {
  for await (const candidate of index.candidates!(tenant, terms, cursor))
    return candidate.cursor === cursor ? candidate : undefined;
  return undefined;
}

async function look(
  { lookup }: FindPorts,
  tenant: string,
  terms: readonly Term[],
  candidate: Candidate,
  after: string | undefined,
): Promise<Match[]> {
  if (candidate.kind === "page") {
    const behind = after === undefined ? -1 : Number.parseInt(after, 36);
    const living = await lookup.livingIn(candidate.record, terms);
    return living
      .filter(({ position }) => position > behind)
      .map(({ position, head }) => ({ position: position.toString(36), head }));
  }
  const { view } = await lookup.view(tenant, candidate.group);
  return view
    .payloads(after)
    .filter(({ listed }) => hasTerms(listed.attributes, terms))
    .map(({ listed: { cursor, ...head } }) => ({ position: cursor, head }));
}

/** One candidate, then two, four … at a time. Those that came before a failure are answered before it. */
async function* growing(candidates: AsyncIterable<Candidate>): AsyncGenerator<readonly Candidate[]> {
  let some: Candidate[] = [];
  let size = 1;
  try {
    for await (const candidate of candidates) {
      if (some.push(candidate) < size) continue;
      yield some;
      some = [];
      size = Math.min(candidatesAtOnce, size * 2);
    }
  } catch (error) {
    yield some;
    throw error;
  }
  yield some;
}

function parseCursor(cursor: string): { readonly candidate: string; readonly position: string } {
  const [, candidate, position] = /^([0-9a-z.-]{1,100})_([0-9a-z]{1,10}(?:-[0-9a-z]{1,10})?)$/.exec(cursor) ?? [];
  if (candidate !== undefined && position !== undefined) return { candidate, position };
  throw new PayloadStoreError("INVALID", "`after` is not a cursor that a find answered", {
    details: { field: "after" },
  });
}
