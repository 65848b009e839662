import { MemorySegmentStore } from "../../../core/adapters/memory/memory-segment-store.ts";
import { systemClock } from "../../../core/adapters/node/clock.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../../core/adapters/node/random.ts";
import { encodePage, type Page } from "../../../core/page/page.ts";
import type { PageRecord } from "../../../core/ports/offset-index.ts";
import type { FramePlace } from "../../../core/ports/segment-store.ts";
import { FrameReader, type FrameHead } from "../../../core/segment/read-frame.ts";

export const tenant = "bench";
export const secret: Uint8Array = new Uint8Array(16).fill(5);
export const idsPerCommit = 256;
const commitsPerGroup = 4;
export const idsPerGroup: number = idsPerCommit * commitsPerGroup;

/** All names of ids, made once: what is measured is the memory of the index, and not theirs. The second half is never there. */
const ids = Array.from({ length: 2 * idsPerGroup }, (_, n) => `span-${n.toString(16).padStart(4, "0")}`);
const entries = ids.slice(0, idsPerGroup).map((id) => ({ id, bytes: 0, etag: "00".repeat(12) }));

/**
 * The commits of a store whose payloads are nowhere: what a page says follows from where it lies, its number. Groups of
 * 1,024 ids, 256 a commit. Behind the first ones, pages that delete and bring again the ids of one of them take turns.
 */
export class MadeUpFrames extends FrameReader {
  readonly keys: number;
  /** How many commits it takes until all ids are there. */
  readonly commits: number;
  readonly #sequences = new Map<number, number>();
  #kept: { readonly number: number; readonly head: FrameHead } | undefined;

  constructor(keys: number) {
    const segments = new MemorySegmentStore({ clock: systemClock, random: new SystemRandom(), digest: nodeDigest });
    super(segments, nodeDigest);
    this.keys = keys;
    this.commits = Math.ceil(keys / idsPerCommit);
  }

  override head(_tenant: string, { offset: number }: FramePlace): FrameHead {
    if (this.#kept?.number !== number) {
      const header = { group: groupOf(this.#brings(number)) } as FrameHead["header"];
      this.#kept = { number, head: { header, page: encodePage(this.page(number)) } };
    }
    return this.#kept.head;
  }

  /** The record of a page that is committed next in its group. */
  record(number: number): PageRecord {
    const group = Math.floor(this.#brings(number) / commitsPerGroup);
    const first = Math.min(commitsPerGroup, this.commits - group * commitsPerGroup);
    const sequence = (this.#sequences.get(group) ?? (number < this.commits ? 0 : first)) + 1;
    // Groups come one after the other at first: only those that are changed again need be remembered.
    if (number >= this.commits || sequence < commitsPerGroup) this.#sequences.set(group, sequence);
    else this.#sequences.delete(group);
    return {
      tenant,
      group: groupOf(this.#brings(number)),
      sequence,
      place: { segment: "s", offset: number, headBytes: 1 },
    };
  }

  page(number: number): Page {
    const of = this.#brings(number);
    const first = of * idsPerCommit;
    const count = Math.min(idsPerCommit, this.keys - first);
    const deletes = number >= this.commits && (number - this.commits) % 2 === 0;
    return {
      commitId: new Uint8Array(16),
      clearsGroup: false,
      deleted: deletes ? Array.from({ length: count }, (_, i) => idOf(first + i)) : [],
      blocks: [],
      entries: deletes ? [] : Array.from({ length: count }, (_, i) => entries[(first + i) % idsPerGroup]!),
    };
  }

  /** Which of the first commits brought the ids that a page is about. */
  #brings(number: number): number {
    if (number < this.commits) return number;
    // A prime, so that the commits are gone through in no order of the lanes' or the groups'.
    return (Math.floor((number - this.commits) / 2) * 7919) % this.commits;
  }
}

/** The group of a commit. */
export function groupOf(commit: number): string {
  return `run-${Math.floor(commit / commitsPerGroup)
    .toString(16)
    .padStart(8, "0")}`;
}

/** The n-th id of all. */
export function idOf(n: number): string {
  return ids[n % idsPerGroup]!;
}

/** One that is never there. */
export function noIdOf(n: number): string {
  return ids[(n % idsPerGroup) + idsPerGroup]!;
}
