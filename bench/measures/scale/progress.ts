/** Says how far a long part has come, every five seconds, on the error output: the result goes to the other one. */
export class Progress {
  readonly #what: string;
  readonly #of: number;
  readonly #start = performance.now();
  #next = 5000;

  constructor(what: string, of: number) {
    this.#what = what;
    this.#of = of;
  }

  at(done: number): void {
    const ms = performance.now() - this.#start;
    if (ms < this.#next) return;
    this.#next = ms + 5000;
    const left = done > 0 ? Math.round(((ms / done) * (this.#of - done)) / 1000) : 0;
    const share = ((100 * done) / this.#of).toFixed(0);
    const rss = Math.round(process.memoryUsage().rss / 1e6);
    process.stderr.write(
      `${this.#what}: ${done.toLocaleString("en")} of ${this.#of.toLocaleString("en")}, ${share} %, about ${left} s left, ${rss} MB\n`,
    );
  }
}
