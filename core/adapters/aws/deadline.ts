/** How long a request to AWS may take, all of its tries together. */
export class Deadline {
  readonly #msMax: number;
  readonly #remainingMs: (() => number) | undefined;

  /**
   * @param msMax  of one request
   * @param remainingMs  what is left to whoever calls, as a Lambda's context tells; a little of it stays for the answer
   */
  constructor(msMax: number, remainingMs?: () => number) {
    this.#msMax = msMax;
    this.#remainingMs = remainingMs;
  }

  /** What `send` of a client takes beside the command. */
  options(): { readonly abortSignal: AbortSignal } {
    const remaining = (this.#remainingMs?.() ?? Infinity) - answerMs;
    return { abortSignal: AbortSignal.timeout(Math.max(1, Math.min(this.#msMax, remaining))) };
  }
}

const answerMs = 500;
