import type { BlockBase } from "../blocks.ts";
import { concat } from "../bytes.ts";
import { limits } from "../limits.ts";
import type { Codecs } from "../ports/codec.ts";
import { isRawContent } from "../segment/base.ts";
import { type EncodedBlock, storedBlockBytes } from "../segment/block.ts";
import { type FrameDraft, headBytesOf } from "../segment/frame.ts";
import { segmentHeaderBytes } from "../segment/header.ts";
import type { BaseRules } from "./growing-bases.ts";
import type { MergedAs } from "./merged-blocks.ts";

/** A frame that is to lie in a segment. */
export interface DraftedFrame {
  readonly frame: Pick<FrameDraft, "group" | "page" | "blocks">;
}

export type Placed<Draft> = Draft & {
  /** Where its frame begins in the segment. */
  readonly offset: number;
};

/** How the blocks of a frame are made that is to lie in a segment with others. */
export type BlocksAs = Required<Pick<MergedAs, "forBase">> & Pick<MergedAs, "base">;

/**
 * A segment that is to be put whole: its frames in their order, and where each begins. What is made first becomes a base for
 * what follows, and so again after so many bytes, as in a segment that grows. docs/decisions/0029.
 */
export class SegmentDraft<Draft extends DraftedFrame> {
  readonly tenant: string;
  readonly #codecs: Codecs;
  readonly #rules: BaseRules;
  readonly #frames: Placed<Draft>[] = [];
  #end = segmentHeaderBytes;
  #base: BlockBase | undefined;
  /** Which frame the next base begins with, while it is too short. */
  #baseFrom: number | undefined;
  #makesBase = false;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(tenant: string, codecs: Codecs, rules: BaseRules) {
    this.tenant = tenant;
    this.#codecs = codecs;
    this.#rules = rules;
  }

  /** The frames so far, in the order in which they lie. */
  get frames(): readonly Placed<Draft>[] {
    return this.#frames;
  }

  /** Length of the segment so far, in bytes. */
  get bytes(): number {
    return this.#end;
  }

  /** Whether some of its blocks are nothing without the others: then all of it is put, or nothing. */
  get rests(): boolean {
    return this.#frames.some(({ frame }) => frame.blocks.some(({ resting }) => resting));
  }

  /** Adds the frame that `make` makes; others may be made meanwhile, and come before it. */
  async add(make: (as: BlocksAs) => Promise<Draft>): Promise<Placed<Draft>> {
    const making = make({ base: this.#base, forBase: this.#rules.baseBytes > 0 && this.#base === undefined });
    const adding = making.then(async (draft) => this.#place(draft));
    this.#underWay.add(adding);
    try {
      return await adding;
    } finally {
      this.#underWay.delete(adding);
    }
  }

  /** Resolves once what is under way has been added, or has failed. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  async #place(draft: Draft): Promise<Placed<Draft>> {
    const { frame } = draft;
    const placed = { ...draft, offset: this.#end };
    this.#frames.push(placed);
    this.#end += frame.blocks.reduce((sum, block) => sum + storedBlockBytes(block), headBytesOf(frame));
    await this.#gather(this.#frames.length - 1);
    return placed;
  }

  /** Makes a base of what was placed last, and what lies before it, where there is none. */
  async #gather(index: number): Promise<void> {
    const { baseBytes, baseEveryBytes } = this.#rules;
    if (this.#base && this.#end - this.#base.range.start > baseEveryBytes) this.#base = undefined;
    const from = this.#baseFrom ?? index;
    this.#baseFrom = undefined;
    if (baseBytes === 0 || this.#base || this.#makesBase) return;
    const all = stretchOf(this.#frames.slice(from), baseBytes);
    const found = all.isShort ? all : stretchOf(this.#frames.slice(index), baseBytes);
    if (!found.isShort || found.blocks.length === 0) return;
    if (found.rawBytes < baseBytes) {
      this.#baseFrom = all.isShort ? from : index;
      return;
    }
    this.#makesBase = true;
    try {
      const decoding = found.blocks.map(async ({ codec, body, rawBytes }) =>
        this.#codecs[codec].decode(body, rawBytes),
      );
      const raw = concat(await Promise.all(decoding));
      if (isRawContent(raw)) this.#base = { range: found.range, raw };
    } finally {
      this.#makesBase = false;
    }
  }
}

/** The segments that are drafted at the same time: one for each tenant and life of payloads. */
export class SegmentDrafts<Draft extends DraftedFrame> {
  readonly #codecs: Codecs;
  readonly #rules: BaseRules;
  readonly #byLife = new Map<number, Map<string, SegmentDraft<Draft>>>();

  constructor(codecs: Codecs, rules: BaseRules) {
    this.#codecs = codecs;
    this.#rules = rules;
  }

  of(tenant: string, life: number): SegmentDraft<Draft> {
    const ofLife = this.#byLife.get(life) ?? new Map<string, SegmentDraft<Draft>>();
    this.#byLife.set(life, ofLife);
    const known = ofLife.get(tenant) ?? new SegmentDraft<Draft>(tenant, this.#codecs, this.#rules);
    ofLife.set(tenant, known);
    return known;
  }

  /** Those of each life, at most one of a tenant. */
  byLife(): readonly (readonly SegmentDraft<Draft>[])[] {
    return Array.from(this.#byLife.values(), (ofLife) =>
      [...ofLife.values()].filter(({ frames }) => frames.length > 0),
    );
  }

  /** Lengths of all of them so far, in bytes. */
  get bytes(): number {
    return this.byLife()
      .flat()
      .reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async settled(): Promise<void> {
    for (const ofLife of this.#byLife.values()) {
      for (const segment of ofLife.values()) await segment.settled();
    }
  }
}

/** A base as its readers find it: the blocks of a stretch of frames that follow each other, without those that rest themselves. */
function stretchOf(frames: readonly Placed<DraftedFrame>[], baseBytes: number) {
  const blocks: EncodedBlock[] = [];
  const start = frames[0]?.offset ?? 0;
  let [rawBytes, end] = [0, start];
  for (const { frame, offset } of frames) {
    if (rawBytes >= baseBytes) break;
    end = offset + headBytesOf(frame);
    for (const block of frame.blocks) {
      if (rawBytes >= baseBytes) break;
      end += storedBlockBytes(block);
      if (block.resting) continue;
      blocks.push(block);
      rawBytes += block.rawBytes;
    }
  }
  const isShort = end - start <= limits.baseStoredBytesMax && rawBytes <= limits.baseRawBytesMax;
  return { range: { start, end }, rawBytes, blocks, isShort };
}
