import { decodePage } from "../../../core/page/page.ts";
import type { FrameDraft } from "../../../core/segment/frame.ts";
import type { ErasureSelector } from "../../../core/erasure/erasure.ts";

/** What a call asked to be kept of what it wrote. */
export interface Written {
  readonly group: string;
  readonly ids: readonly string[];
  /** The one that it is about. */
  readonly subject: string | undefined;
}

/** The least and the greatest of some times, milliseconds since 1970. */
export interface Span {
  readonly leastMs: number;
  readonly mostMs: number;
}

/** For ever; also of what was never stored. */
const never: Span = { leastMs: Infinity, mostMs: Infinity };

/**
 * When values were committed, and when they expire: by frames on their way to be stored, for clients do not choose it. A call whose
 * decision is made anew stores its value more than once, and it is not known which of them counts.
 */
export class Moments {
  readonly #written = new Map<string, Written>();
  readonly #committed = new Map<string, Span>();
  readonly #expires = new Map<string, Span>();
  readonly #all = new Set<number>();

  /** To be called before what writes a value begins. */
  writes(value: string, written: Written): void {
    this.#written.set(value, written);
  }

  /** To be called with each frame that is about to be stored. */
  framed({ kind, page: bytes, timeMs }: FrameDraft, valueOf: (text: string) => string): void {
    const page = kind === "payloads" ? decodePage(bytes) : undefined;
    // What is merged keeps its times.
    if (!page?.ok || page.value.merged) return;
    for (const { attributes = {}, expiresMs = Infinity } of page.value.entries) {
      const value = valueOf(attributes["body"] ?? "");
      this.#committed.set(value, widened(this.#committed.get(value), timeMs));
      this.#expires.set(value, widened(this.#expires.get(value), expiresMs));
      this.#all.add(timeMs);
    }
  }

  /** When something was committed, each once, earliest first known first. */
  get times(): readonly number[] {
    return [...this.#all];
  }

  subjectOf(value: string): string | undefined {
    return this.#written.get(value)?.subject;
  }

  expiryOf(value: string): Span {
    return this.#expires.get(value) ?? never;
  }

  /** Whether an erasure is of a value: by what is known, and where that depends on which of its frames counts, `maybe`. */
  isMeant(value: string, { group, ids, where = {}, fromMs = 0, toMs = Infinity }: ErasureSelector): boolean | "maybe" {
    const written = this.#written.get(value);
    const committed = this.#committed.get(value);
    if (!written || !committed || (group !== undefined && written.group !== group)) return false;
    if (ids && !written.ids.every((id) => ids.includes(id))) return false;
    if (Object.entries(where).some(([, subject]) => subject !== written.subject)) return false;
    const isIn = (ms: number) => ms >= fromMs && ms < toMs;
    const { leastMs, mostMs } = committed;
    if (isIn(leastMs) && isIn(mostMs)) return true;
    return mostMs < fromMs || leastMs >= toMs || leastMs === mostMs ? false : "maybe";
  }
}

function widened(span: Span | undefined, ms: number): Span {
  if (!span) return { leastMs: ms, mostMs: ms };
  return { leastMs: Math.min(span.leastMs, ms), mostMs: Math.max(span.mostMs, ms) };
}
