/** Lets others run after so much work of a long one, so that none of its steps holds up the thread for long. */
export class Steps {
  readonly #pause: (() => Promise<void>) | undefined;
  readonly #workMax: number;
  #done = 0;

  /**
   * @param pause  resolves when the next step may be taken; `undefined` where nobody waits
   * @param workMax  what may be done in one step, in the unit of {@link did}
   */
  constructor(pause: (() => Promise<void>) | undefined, workMax: number) {
    this.#pause = pause;
    this.#workMax = workMax;
  }

  /** Counts work. @returns what to wait for before more is done, where it is time for that */
  did(work: number): Promise<void> | undefined {
    this.#done += work;
    if (this.#done < this.#workMax || !this.#pause) return undefined;
    this.#done = 0;
    return this.#pause();
  }
}
