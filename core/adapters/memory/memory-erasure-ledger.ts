import { utf8 } from "../../bytes.ts";
import type { ErasureRecord } from "../../erasure/erasure.ts";
import { decodeErasure, encodeErasure, inOrder, isOpen } from "../../erasure/erasure-record.ts";
import type { ErasureLedger } from "../../ports/erasure-ledger.ts";

/** Erasures in memory. */
export class MemoryErasureLedger implements ErasureLedger {
  readonly #records = new Map<string, Uint8Array>();

  async put(record: ErasureRecord): Promise<boolean> {
    const before = await this.get(record.tenant, record.id);
    if ((before?.version ?? 0) !== record.version - 1) return false;
    this.#records.set(`${record.tenant}/${record.id}`, utf8(encodeErasure(record)));
    return true;
  }

  async get(tenant: string, id: string): Promise<ErasureRecord | undefined> {
    const bytes = this.#records.get(`${tenant}/${id}`);
    return bytes && decodeErasure(bytes, `erasure ${id}`);
  }

  async list(tenant?: string): Promise<readonly ErasureRecord[]> {
    const records = [...this.#records].map(([name, bytes]) => decodeErasure(bytes, `erasure ${name}`));
    return inOrder(records.filter((record) => tenant === undefined || record.tenant === tenant));
  }

  async open(tenant?: string): Promise<readonly ErasureRecord[]> {
    return (await this.list(tenant)).filter(isOpen);
  }
}
