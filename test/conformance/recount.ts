import type { Location, Stats } from "../../core/payload.ts";

interface Counted {
  readonly bytes: number;
  readonly share: number;
  readonly codec: number;
}

/**
 * What a tenant has, counted payload by payload, for comparison with what a store keeps up to date.
 *
 * A payload that shares its blocks with others of its commit takes a share of the stored bytes by its length, rounded up.
 */
export class Recount {
  readonly #payloads = new Map<string, Counted>();

  get size(): number {
    return this.#payloads.size;
  }

  /** @param locations  what one append or one appendMany answered for `ids` */
  stored(group: string, ids: readonly string[], locations: readonly Location[]): void {
    const rawBytes = new Map<number, number>();
    for (const { offset, length, stored } of locations) {
      if (stored > 0) rawBytes.set(offset, (rawBytes.get(offset) ?? 0) + length);
    }
    for (const [i, { offset, length, stored, codec }] of locations.entries()) {
      const share = stored === 0 ? 0 : Math.ceil((stored * length) / (rawBytes.get(offset) ?? length));
      this.#payloads.set(nameOf(group, ids[i] ?? ""), { bytes: length, share, codec });
    }
  }

  deleted(group: string, id: string): boolean {
    return this.#payloads.delete(nameOf(group, id));
  }

  groupDeleted(group: string): number {
    const names = [...this.#payloads.keys()].filter((name) => name.startsWith(nameOf(group, "")));
    for (const name of names) this.#payloads.delete(name);
    return names.length;
  }

  stats(): Stats {
    const payloads = [...this.#payloads.values()];
    const sum = (of: (payload: Counted) => number) => payloads.reduce((total, payload) => total + of(payload), 0);
    const uncompressedBytes = sum(({ bytes }) => bytes);
    const compressedBytes = sum(({ share }) => share);
    return {
      payloads: payloads.length,
      uncompressedBytes,
      compressedBytes,
      ratio: compressedBytes === 0 ? 1 : uncompressedBytes / compressedBytes,
      none: sum(({ codec }) => (codec === 0 ? 1 : 0)),
      lz4: sum(({ codec }) => (codec === 1 ? 1 : 0)),
      zstd: sum(({ codec }) => (codec === 2 ? 1 : 0)),
      exact: true,
    };
  }
}

function nameOf(group: string, id: string): string {
  return `${group.length} ${group} ${id}`;
}
