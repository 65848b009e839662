import { randomFillSync } from "node:crypto";
import type { Random } from "../../ports/random.ts";

const poolBytes = 4096;

/** Random bytes of the operating system, drawn in pools because a call costs more than the bytes. No byte is given twice. */
export class SystemRandom implements Random {
  #pool = new Uint8Array(poolBytes);
  #used = poolBytes;

  bytes(length: number): Uint8Array {
    if (length > poolBytes) return randomFillSync(new Uint8Array(length));
    if (this.#used + length > poolBytes) {
      this.#pool = randomFillSync(new Uint8Array(poolBytes));
      this.#used = 0;
    }
    this.#used += length;
    return this.#pool.slice(this.#used - length, this.#used);
  }
}
