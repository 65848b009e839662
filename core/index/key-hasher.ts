import { utf8Into } from "../bytes.ts";
import { limits } from "../limits.ts";
import type { Term } from "../page/terms.ts";
import { hashKey, sipHash128, type HashKey } from "./siphash.ts";

/** 128 bits in four words. */
export type Hash128 = Int32Array;

/** One for all: a name is hashed before the next is written. */
const nameScratch = new Uint8Array(64 + 3 * limits.nameBytesMax);
const nameScratchWords = new Int32Array(nameScratch.buffer, 0, 4);

/**
 * Names → hashes, keyed by the store's secret. A group's 128 bits are its identity in the index; of an id's hash, which
 * begins from its group's, the index keeps 64 bits and checks the name in the page.
 */
export class KeyHasher {
  readonly #key: HashKey;
  #termScratch: Uint8Array | undefined;
  readonly #last: Hash128 = new Int32Array(4);
  #lastTenant = "";
  #lastGroup = "";

  constructor(secret: Uint8Array) {
    this.#key = hashKey(secret);
  }

  /** Hashes `tenant`, a zero byte, which no tenant holds, and `group`. Calls for one group mostly follow each other. */
  group(tenant: string, group: string, result: Hash128): void {
    if (tenant !== this.#lastTenant || group !== this.#lastGroup) {
      this.#hashGroup(tenant, group, this.#last);
      this.#lastTenant = tenant;
      this.#lastGroup = group;
    }
    result.set(this.#last);
  }

  #hashGroup(tenant: string, group: string, result: Hash128): void {
    const at = utf8Into(tenant, nameScratch, 0);
    nameScratch[at] = 0;
    sipHash128(this.#key, nameScratch, at + 1 + utf8Into(group, nameScratch, at + 1), result);
  }

  /** Two words of it. Never an id's hash: 0xff occurs in no UTF-8. */
  request(group: Hash128, key: string, result: Hash128): void {
    nameScratchWords.set(group);
    nameScratch[16] = 0xff;
    sipHash128(this.#key, nameScratch, 17 + utf8Into(key, nameScratch, 17), result, 2);
  }

  /**
   * Hashes an attribute's name and value, after the tenant: each is ended by a byte that occurs in no UTF-8. So it is never
   * the hash of a group.
   */
  term(tenant: string, [name, value]: Term, result: Hash128): void {
    this.#termScratch ??= new Uint8Array(3 * (64 + limits.attributesBytesMax));
    const scratch = this.#termScratch;
    let at = utf8Into(tenant, scratch, 0);
    scratch[at++] = 0xfe;
    at += utf8Into(name, scratch, at);
    scratch[at++] = 0xff;
    at += utf8Into(value, scratch, at);
    sipHash128(this.#key, scratch, at, result);
  }

  /** Two words of it: the index keeps no more. */
  id(group: Hash128, id: string, result: Hash128): void {
    nameScratchWords.set(group);
    sipHash128(this.#key, nameScratch, 16 + utf8Into(id, nameScratch, 16), result, 2);
  }
}
