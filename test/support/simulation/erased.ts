import type { MemoryRowTable } from "../../../core/adapters/memory/memory-row-table.ts";
import type { ErasureRecord, ErasureWish } from "../../../core/erasure/erasure.ts";
import { collect } from "../../conformance/expectations.ts";
import { bodyOf, type Call } from "./calls.ts";
import type { Moments } from "./moments.ts";
import type { ObjectServer } from "./object-server.ts";

/**
 * What erasures promise: once one is gone, no object and no row has a byte of what was there when it was asked for. It looks into
 * both servers at the moment at which the receipt says so.
 */
export class Erased {
  readonly broken: string[] = [];
  gone = 0;
  readonly #servers: { readonly rows: MemoryRowTable; readonly objects: ObjectServer };
  readonly #stored: Call[] = [];
  /** What each is of, of what was stored before. */
  readonly #values = new Map<string, readonly string[]>();

  readonly #moments: Moments | undefined;

  /** @param moments  where erasures are also asked for by time and by attribute */
  constructor(servers: { readonly rows: MemoryRowTable; readonly objects: ObjectServer }, moments?: Moments) {
    this.#servers = servers;
    this.#moments = moments;
  }

  /** To be called when a call was answered that stored something. */
  stored(call: Call): void {
    if (call.kind === "write" || call.kind === "create") this.#stored.push(call);
  }

  async kept({ id, state, version, selector }: ErasureRecord): Promise<void> {
    if (version === 1) {
      const before = this.#stored.filter((call) => this.#isMeant(call, selector)).map(({ value }) => value);
      this.#values.set(id, before);
    }
    if (state !== "gone") return;
    this.gone += 1;
    for (const value of this.#values.get(id) ?? []) {
      for (const place of await this.#placesOf(bodyOf(value)))
        this.broken.push(`erasure ${id} is gone, and ${place} has ${value}`);
    }
  }

  #isMeant({ group, ids, value }: Call, selector: ErasureWish): boolean {
    if (this.#moments) return this.#moments.isMeant(value, selector) === true;
    return group === selector.group && ids.every((one) => selector.ids?.includes(one) ?? true);
  }

  async #placesOf(sought: Uint8Array): Promise<string[]> {
    const rows = await collect(this.#servers.rows.scan());
    return [
      ...rows.map(({ partition, number, record }) => [`row ${partition}#${number}`, record] as const),
      ...Array.from(this.#servers.objects.all(), ([key, { bytes }]) => [key, bytes] as const),
    ].flatMap(([place, bytes]) => (bytes && Buffer.from(bytes).includes(Buffer.from(sought)) ? [place] : []));
  }
}
