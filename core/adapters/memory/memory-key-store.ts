import { oldestFirst, type AccessKey } from "../../access/access-key.ts";
import { encodeKey } from "../../access/key-record.ts";
import type { KeyList, KeyStore } from "../../ports/key-store.ts";

/** Keys in memory. */
export class MemoryKeyStore implements KeyStore {
  readonly #keys = new Map<string, AccessKey>();

  async list(tenant: string): Promise<KeyList> {
    const keys = [...this.#keys.values()].filter((key) => key.tenant === tenant);
    return { keys: oldestFirst(keys), unreadable: [] };
  }

  async add(key: AccessKey): Promise<boolean> {
    if (this.#keys.has(nameOf(key))) return false;
    this.#keys.set(nameOf(key), key);
    return true;
  }

  async replace(before: AccessKey, after: AccessKey): Promise<boolean> {
    if (!this.#keeps(before)) return false;
    this.#keys.set(nameOf(before), after);
    return true;
  }

  async remove(key: AccessKey): Promise<boolean> {
    return this.#keeps(key) && this.#keys.delete(nameOf(key));
  }

  #keeps(key: AccessKey): boolean {
    const kept = this.#keys.get(nameOf(key));
    return kept !== undefined && encodeKey(kept) === encodeKey(key);
  }
}

function nameOf({ tenant, id }: AccessKey): string {
  return `${tenant}/${id}`;
}
