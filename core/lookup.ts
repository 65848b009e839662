import { bytesEqual } from "./bytes.ts";
import { PayloadStoreError } from "./errors.ts";
import { GroupView } from "./group-view.ts";
import type { ResolvedKey } from "./key.ts";
import { decodePlacedPage, findInPage, type PageRequest } from "./page/page.ts";
import { headOf } from "./payload-head.ts";
import type { Location, PayloadHead } from "./payload.ts";
import type { OffsetIndex } from "./ports/offset-index.ts";
import type { FramePlace } from "./ports/segment-store.ts";
import { incompleteError } from "./segment/incomplete.ts";
import type { FrameReader } from "./segment/read-frame.ts";
import type { SegmentDamage } from "./segment/scan.ts";

/** Answers questions from the pages that the index names. Where a lost page could change an answer it is `CORRUPT`. */
export class Lookup {
  readonly #index: OffsetIndex;
  readonly #frames: FrameReader;

  constructor(index: OffsetIndex, frames: FrameReader) {
    this.#index = index;
    this.#frames = frames;
  }

  /** @returns the answer that the request had, if it was committed before. */
  async answered(tenant: string, group: string, request: PageRequest): Promise<Location[] | undefined> {
    const { records, incomplete } = await this.#index.requests(tenant, group, request.key);
    for (const { place } of records) {
      const { header, page: bytes } = await this.#frames.head(tenant, place);
      const read = decodePlacedPage(bytes);
      if (!read.ok)
        throw new PayloadStoreError(
          "CORRUPT",
          `segment ${tenant}/${place.segment}, frame at byte ${place.offset}: ${read.damage}`,
        );
      const { page, places } = read.value;
      if (header.group !== group || page.request?.key !== request.key) continue;
      if (bytesEqual(page.request.bodyHash, request.bodyHash))
        return places.map((found) => headOf(group, header.timeMs, place, found).location);
      const message = `idempotency key ${JSON.stringify(request.key)} was used for another request in group ${JSON.stringify(group)}`;
      throw new PayloadStoreError("KEY_REUSED", message, { details: { idempotencyKey: request.key } });
    }
    refuseIncomplete({ tenant, group }, incomplete);
    return undefined;
  }

  /** What is known of a payload, `undefined` if there is none. */
  async find(key: ResolvedKey): Promise<PayloadHead | undefined> {
    const { tenant, group, id } = key;
    const narrowed = await this.#index.records(tenant, group, id);
    const found = await this.#findIn(key, narrowed.records);
    if (found.decided || narrowed.records.length === 0) {
      refuseIncomplete(key, narrowed.incomplete);
      return found.head;
    }
    // The page that was to decide names another id: two ids share their hash. The whole group tells.
    const all = await this.#index.records(tenant, group);
    const walked = await this.#findIn(key, all.records);
    refuseIncomplete(key, all.incomplete);
    return walked.head;
  }

  async #findIn(
    key: ResolvedKey,
    records: readonly { readonly place: FramePlace }[],
  ): Promise<{ decided: boolean; head?: PayloadHead }> {
    for (const { place } of records) {
      const { header, page } = await this.#frames.head(key.tenant, place);
      if (header.group !== key.group) continue;
      const answer = findInPage(page, key.id);
      if (!answer.ok)
        throw new PayloadStoreError(
          "CORRUPT",
          `segment ${key.tenant}/${place.segment}, frame at byte ${place.offset}: ${answer.damage}`,
        );
      if (answer.value.kind === "hidden") return { decided: true };
      if (answer.value.kind === "payload")
        return { decided: true, head: headOf(key.group, header.timeMs, place, answer.value.place) };
    }
    return { decided: false };
  }

  /** The group as all its pages make it. */
  async view(tenant: string, group: string): Promise<GroupView> {
    const { records, incomplete } = await this.#index.records(tenant, group);
    const view = new GroupView(group);
    for (const { sequence, place } of records.toReversed()) {
      const { header, page } = await this.#frames.head(tenant, place);
      if (header.group === group) view.add(sequence, header.timeMs, place, page);
    }
    refuseIncomplete({ tenant, group }, incomplete);
    return view;
  }
}

function refuseIncomplete(
  key: { readonly tenant: string; readonly group: string; readonly id?: string },
  damage: SegmentDamage | undefined,
): void {
  if (damage) throw incompleteError(describeKey(key), key.tenant, damage);
}

/** A key for people, in messages. */
export function describeKey(key: { readonly group: string; readonly id?: string }): string {
  const group = `group ${JSON.stringify(key.group)}`;
  return key.id === undefined ? group : `${group}, id ${JSON.stringify(key.id)}`;
}
