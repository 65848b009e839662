/** Memory that the footers of all growing segments of a folder take, while these are written. */
export class FooterMemory {
  readonly #bytesMax: number;
  #bytes = 0;

  /** @param bytesMax  all of them together, in bytes */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether one that grows had better be given up. */
  get exhausted(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  /** @param bytes  less than 0 where they are given back */
  count(bytes: number): void {
    this.#bytes += bytes;
  }
}
