import { KeyHasher } from "../index/key-hasher.ts";
import type { Page } from "../page/page.ts";
import type { IdHash, PageHashes } from "./row.ts";

/** Names of one store → the 64 bits that rows keep of them. */
export class IdHasher {
  readonly #hasher: KeyHasher;
  readonly #group = new Int32Array(4);
  readonly #words = new Int32Array(4);
  readonly #wordsView = new DataView(this.#words.buffer);

  constructor(secret: Uint8Array) {
    this.#hasher = new KeyHasher(secret);
  }

  id(tenant: string, group: string, id: string): IdHash {
    this.#hasher.group(tenant, group, this.#group);
    this.#hasher.id(this.#group, id, this.#words);
    return this.#first64();
  }

  request(tenant: string, group: string, key: string): IdHash {
    this.#hasher.group(tenant, group, this.#group);
    this.#hasher.request(this.#group, key, this.#words);
    return this.#first64();
  }

  page(tenant: string, group: string, page: Page): PageHashes {
    const requests = [...(page.request ? [page.request] : []), ...(page.merged?.requests ?? [])];
    return {
      clearsGroup: page.clearsGroup,
      expires: page.entries.some(({ expiresMs }) => expiresMs !== undefined) || undefined,
      requests: requests.map(({ key }) => this.request(tenant, group, key)),
      deleted: page.deleted.map((id) => this.id(tenant, group, id)),
      entries: page.entries.map(({ id }) => this.id(tenant, group, id)),
    };
  }

  #first64(): IdHash {
    return this.#wordsView.getBigUint64(0, true);
  }
}
