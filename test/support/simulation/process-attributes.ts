import type { MemoryAttributeTable } from "../../../core/adapters/memory/memory-attribute-table.ts";
import type { AttributeRowPage, AttributeTable } from "../../../core/ports/attribute-table.ts";
import { dynamoSignatureMs, type Process } from "./process.ts";

/** What payloads are found by, as a process sees it: behind its network. */
export class ProcessAttributes implements AttributeTable {
  readonly name = "the table";
  readonly #process: Process;
  readonly #server: MemoryAttributeTable;

  constructor(process: Process, server: MemoryAttributeTable) {
    this.#process = process;
    this.#server = server;
  }

  async put(partition: string, number: bigint, record: Uint8Array): Promise<void> {
    await this.#ask(`put row ${partition}`, () => this.#server.put(partition, number, record));
  }

  query(partition: string, from: bigint, rowsMax: number): Promise<AttributeRowPage> {
    return this.#ask(`query ${partition}`, () => this.#server.query(partition, from, rowsMax));
  }

  async #ask<Answer>(what: string, serve: () => Promise<Answer>): Promise<Answer> {
    const { answer } = await this.#process.ask({ what, serve, restsOnMs: Infinity, signatureMs: dynamoSignatureMs });
    return answer;
  }
}
