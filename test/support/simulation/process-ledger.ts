import type { MemoryErasureLedger } from "../../../core/adapters/memory/memory-erasure-ledger.ts";
import type { ErasureRecord } from "../../../core/erasure/erasure.ts";
import type { ErasureLedger } from "../../../core/ports/erasure-ledger.ts";
import { dynamoSignatureMs, type Process } from "./process.ts";

/** Erasures as a process sees them: behind its network. */
export class ProcessLedger implements ErasureLedger {
  readonly #process: Process;
  readonly #server: MemoryErasureLedger;
  /** Is told of each record that the server keeps, when it does. */
  readonly #whenKept: (record: ErasureRecord) => void;

  constructor(process: Process, server: MemoryErasureLedger, whenKept: (record: ErasureRecord) => void) {
    this.#process = process;
    this.#server = server;
    this.#whenKept = whenKept;
  }

  async put(record: ErasureRecord): Promise<boolean> {
    const serve = () => {
      const kept = this.#server.put(record);
      void kept.then((isKept) => isKept && this.#whenKept(record));
      return kept;
    };
    const isKept = await this.#ask(`put erasure ${record.id}, ${record.state}`, serve);
    if (isKept) return true;
    // The answer to an earlier try may have been lost.
    const there = await this.get(record.tenant, record.id);
    return there !== undefined && JSON.stringify(there) === JSON.stringify(record);
  }

  get(tenant: string, id: string): Promise<ErasureRecord | undefined> {
    return this.#ask(`get erasure ${id}`, () => this.#server.get(tenant, id));
  }

  list(tenant?: string): Promise<readonly ErasureRecord[]> {
    return this.#ask("list erasures", () => this.#server.list(tenant));
  }

  open(tenant?: string): Promise<readonly ErasureRecord[]> {
    return this.#ask("list open erasures", () => this.#server.open(tenant));
  }

  async #ask<Answer>(what: string, serve: () => Promise<Answer>): Promise<Answer> {
    const { answer } = await this.#process.ask({ what, serve, restsOnMs: Infinity, signatureMs: dynamoSignatureMs });
    return answer;
  }
}
