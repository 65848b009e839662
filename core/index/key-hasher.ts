import { utf8Into } from "../bytes.ts";
import { limits } from "../limits.ts";
import type { Term } from "../page/terms.ts";
import { hashKey, hashPrefix, type HashKey, prefixBytes, sipHash128, sipHashFrom } from "./siphash.ts";

/** 128 bits in four words. */
export type Hash128 = Int32Array;

/** One for all: a name is hashed before the next is written. */
const nameScratch = new Uint8Array(64 + 3 * limits.nameBytesMax);
const groupWords = new Int32Array(4);
const groupBytes = new Uint8Array(groupWords.buffer);

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
  /** What an id's hash has in common with those of all names of the group that was asked for last. */
  readonly #prefix = new Int32Array(8);
  readonly #prefixOf: Hash128 = new Int32Array(4);

  constructor(secret: Uint8Array) {
    this.#key = hashKey(secret);
    hashPrefix(this.#key, new Uint8Array(prefixBytes), this.#prefix);
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
    this.#within(group);
    nameScratch[prefixBytes] = 0xff;
    sipHashFrom(this.#prefix, nameScratch, prefixBytes + 1 + utf8Into(key, nameScratch, prefixBytes + 1), result, 2);
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
    this.#within(group);
    sipHashFrom(this.#prefix, nameScratch, prefixBytes + utf8Into(id, nameScratch, prefixBytes), result, 2);
  }

  /** Makes the prefix the group's. */
  #within(group: Hash128): void {
    const of = this.#prefixOf;
    if (of[0] === group[0] && of[1] === group[1] && of[2] === group[2] && of[3] === group[3]) return;
    groupWords.set(group);
    hashPrefix(this.#key, groupBytes, this.#prefix);
    of.set(group);
  }
}
