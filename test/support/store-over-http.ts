import { concat } from "../../core/bytes.ts";
import { PayloadStoreError } from "../../core/errors.ts";
import type { ClientPayload, PayloadClient } from "../../core/entries/client.ts";
import type { FindQuestion } from "../../core/find.ts";
import type { GroupKey, PayloadKey, TenantKey } from "../../core/key.ts";
import type { ListedPayload, Payload, PayloadHead, StreamedPayload } from "../../core/payload.ts";
import type { PayloadStore } from "../../core/payload-store.ts";

/** What of a store its suite asks. */
type Face = { readonly [name in keyof PayloadStore]?: PayloadStore[name] };

/**
 * A client with the face of the store behind it, for the suites of stores. What HTTP has no words for is asked of the
 * store itself: reading by location, verification, flushing, closing, where a payload's bytes lie.
 */
export function storeOverHttp(behind: PayloadStore, clientOf: (tenant: string) => PayloadClient): PayloadStore {
  const on = (key: TenantKey): PayloadClient => clientOf((key as TenantKey | undefined)?.tenant as string);
  const withLocation = async <Head>(
    key: PayloadKey,
    head: Head | undefined,
  ): Promise<(Head & PayloadHead) | undefined> => {
    if (head === undefined) return undefined;
    const { location } = (await behind.head(key)) ?? {};
    return { ...head, location } as Head & PayloadHead;
  };
  const face: Face = {
    payloadBytesMax: behind.payloadBytesMax,
    append: async (key, bytes, options) => on(key).append(key, bytes, options),
    appendMany: async (key, items, options) => [...(await on(key).appendMany(key, items, options))],
    get: async (key, options) => on(key).get(key, options),
    read: async (key, options) => {
      const payload = await on(key).read(key, options);
      return withLocation<Payload>(key, payload && ((await collected(payload)) as Payload));
    },
    stream: async (key, options) => {
      const payload = await on(key).read(key, options);
      return withLocation(key, payload as unknown as StreamedPayload | undefined);
    },
    readStored: (key, codecs, options) => behind.readStored(key, codecs, options),
    head: async (key, options) => withLocation(key, await on(key).head(key, options)),
    has: async (key, options) => on(key).has(key, options),
    getAt: (key, location, options) => behind.getAt(key, location, options),
    getMany: async (key, ids, options) => on(key).getMany(key, ids, options),
    list: (key, options) => listed(on(key), key, options),
    find: (key, options) => found(on(key), key, options),
    async *contents(key, options) {
      refuseCursor(options);
      for await (const content of on(key).contents(key, options)) yield content as unknown as Payload;
    },
    async *groups(key, options) {
      yield* on(key).groups(options);
    },
    delete: async (key, options) => on(key).delete(key, options),
    deleteGroup: async (key, options) => on(key).deleteGroup(key, options),
    size: async (key) => (await on(key).stats()).payloads,
    isEmpty: async (key) => (await on(key).stats()).payloads === 0,
    stats: async (key) => on(key).stats(),
    flush: () => behind.flush(),
    verify: (options) => behind.verify(options),
    health: () => behind.health(),
    close: () => behind.close(),
  };
  return face as PayloadStore;
}

async function* listed(
  client: PayloadClient,
  key: GroupKey,
  options: Parameters<PayloadStore["list"]>[1],
): AsyncGenerator<ListedPayload> {
  refuseCursor(options);
  for await (const head of client.list(key, options)) yield head as ListedPayload;
}

async function* found(
  client: PayloadClient,
  { where }: FindQuestion,
  options: Parameters<PayloadStore["find"]>[1],
): AsyncGenerator<ListedPayload> {
  refuseCursor(options);
  for await (const head of client.find({ where }, options)) yield head as ListedPayload;
}

/** Cursors of HTTP are those of pages, not of each payload. */
function refuseCursor(options: { readonly after?: string | undefined } = {}): void {
  if (options.after !== undefined) throw new PayloadStoreError("INVALID", "the client has pages instead of cursors");
}

async function collected({ body, ...head }: ClientPayload): Promise<Omit<Payload, "location">> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body as AsyncIterable<Uint8Array>) pieces.push(piece);
  return { ...head, body: concat(pieces).slice() };
}
