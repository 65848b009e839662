import type { BlockEncoder } from "./blocks.ts";
import { bytesOfHex, utf8, utf8Length } from "./bytes.ts";
import type { PageDraft } from "./commit-lanes.ts";
import { PayloadStoreError } from "./errors.ts";
import { checkedExpiry } from "./expiry.ts";
import { isWellFormed, resolveName, type PayloadId } from "./key.ts";
import { limits } from "./limits.ts";
import { etagBytes, type PageEntry, type PageRequest } from "./page/page.ts";
import { checkPayloadInput } from "./payload-input.ts";
import type { PayloadInput } from "./payload.ts";
import type { Digest } from "./ports/digest.ts";

/** What drafts of one store are made with. */
export interface DraftTools {
  readonly blocks: BlockEncoder;
  readonly digest: Digest;
  readonly payloadBytesMax: number;
}

/**
 * Checks and encodes the payloads of one commit.
 * @throws {PayloadStoreError} `INVALID`, `TOO_LARGE`; nothing is stored then
 */
export async function draftPage(
  items: readonly (PayloadInput & { readonly id: PayloadId })[],
  tools: DraftTools,
): Promise<PageDraft> {
  if (items.length < 1 || items.length > limits.commitPayloadsMax) {
    throw new PayloadStoreError(
      "INVALID",
      `a commit holds 1–${limits.commitPayloadsMax} payloads; got ${items.length}`,
    );
  }
  const names: string[] = [];
  const ids = new Set<string>();
  let bytes = 0;
  for (const item of items) {
    const id = resolveName("id", item.id);
    checkPayloadInput(item, tools.payloadBytesMax);
    if (ids.has(id))
      throw new PayloadStoreError("INVALID", `id ${JSON.stringify(id)} occurs twice in one commit`, {
        details: { id },
      });
    ids.add(id);
    names.push(id);
    bytes += item.bytes.length;
  }
  if (bytes > limits.commitBytesMax) {
    throw new PayloadStoreError(
      "TOO_LARGE",
      `the commit has ${bytes} bytes; at most ${limits.commitBytesMax}: split it`,
    );
  }
  const entries = items.map(({ bytes: payload, contentType, attributes, expiresAt }, i): PageEntry => {
    const etag = tools.digest.sha256(payload).slice(0, 2 * etagBytes);
    const entry: PageEntry = { id: names[i]!, bytes: payload.length, etag, contentType, attributes };
    return expiresAt === undefined ? entry : { ...entry, expiresMs: checkedExpiry(expiresAt) };
  });
  return { entries, blocks: await tools.blocks.encode(items) };
}

/**
 * An idempotent request by its key and what it asks: ids, the payloads by their hashes, types, attributes and expiry, not
 * how they are stored; and what it hides.
 */
export function requestOf(key: string, draft: PageDraft, digest: Digest): PageRequest {
  const bytes = typeof key === "string" ? utf8Length(key) : 0;
  if (bytes < 1 || bytes > limits.idempotencyKeyBytesMax || !isWellFormed(key)) {
    const message = `idempotencyKey must be 1–${limits.idempotencyKeyBytesMax} bytes of UTF-8`;
    throw new PayloadStoreError("INVALID", message, { details: { field: "idempotencyKey" } });
  }
  const asked = draft.entries.map(({ id, etag, bytes: length, contentType, attributes, expiresMs }) => [
    id,
    etag,
    length,
    contentType ?? null,
    attributes ? Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1)) : null,
    ...(expiresMs === undefined ? [] : [expiresMs]),
  ]);
  const hidden = draft.clearsGroup ? [{ hidden: "group" }] : (draft.deleted ?? []).map((id) => ({ hidden: [id] }));
  return { key, bodyHash: bytesOfHex(digest.sha256(utf8(JSON.stringify([...asked, ...hidden]))).slice(0, 32)) };
}
