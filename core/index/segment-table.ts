/** How much of a segment the index has taken in: everything below `bytes`, which is `frames` frames. */
export interface Coverage {
  readonly bytes: number;
  readonly frames: number;
  /** Whether the segment has its footer: then it does not grow any more. */
  readonly sealed: boolean;
}

export interface IndexedSegment {
  readonly tenant: string;
  readonly name: string;
  /** Frames of it that were taken in or are known to be lost. */
  frames: number;
  covered: Coverage;
}

/** The segments that pages lie in, numbered densely, and how far each is covered. */
export class SegmentTable {
  #segments: IndexedSegment[] = [];
  readonly #ordinals = new Map<string, number>();

  /** Counts one more frame of a segment; returns the segment's ordinal. */
  count(tenant: string, name: string, frames = 1): number {
    const ordinal = this.#ordinal(tenant, name);
    this.#segments[ordinal]!.frames += frames;
    return ordinal;
  }

  cover(tenant: string, name: string, covered: Coverage): void {
    const segment = this.#segments[this.#ordinal(tenant, name)]!;
    segment.covered = covered;
    segment.frames = covered.frames;
  }

  covered(tenant: string, name: string): Coverage | undefined {
    const ordinal = this.#ordinals.get(`${tenant}/${name}`);
    return ordinal === undefined ? undefined : this.#segments[ordinal]!.covered;
  }

  name(ordinal: number): string {
    return this.#segments[ordinal]!.name;
  }

  tenant(ordinal: number): string {
    return this.#segments[ordinal]!.tenant;
  }

  all(): readonly IndexedSegment[] {
    return this.#segments;
  }

  restore(segments: readonly IndexedSegment[]): void {
    this.#segments = [...segments];
    this.#ordinals.clear();
    for (const [ordinal, { tenant, name }] of segments.entries()) this.#ordinals.set(`${tenant}/${name}`, ordinal);
  }

  #ordinal(tenant: string, name: string): number {
    const path = `${tenant}/${name}`;
    const known = this.#ordinals.get(path);
    if (known !== undefined) return known;
    this.#ordinals.set(path, this.#segments.length);
    this.#segments.push({ tenant, name, frames: 0, covered: { bytes: 0, frames: 0, sealed: false } });
    return this.#segments.length - 1;
  }
}
