/**
 * Memory for payloads that are merged at the same time, in bytes. Groups reach into older segments, so what a segment holds of one does not
 * say how much of it is merged at once; and a payload may be longer than a merged page is otherwise.
 */
export class MergeRoom {
  readonly #bytesMax: number;
  #taken = 0;
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Does some work once there is room for it, in the order of the calls; what is longer than all of the room has it alone. */
  async within<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const needed = Math.min(bytes, this.#bytesMax);
    if (this.#waiting.length > 0 || this.#taken + needed > this.#bytesMax) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push({ bytes: needed, enter: resolve });
      await promise;
    } else this.#taken += needed;
    try {
      return await work();
    } finally {
      this.#taken -= needed;
      this.#letIn();
    }
  }

  #letIn(): void {
    for (let [next] = this.#waiting; next && this.#taken + next.bytes <= this.#bytesMax; [next] = this.#waiting) {
      this.#waiting.shift();
      this.#taken += next.bytes;
      next.enter();
    }
  }
}
