import type { MemoryAttributeTable } from "../../../core/adapters/memory/memory-attribute-table.ts";
import type { AttributeRowPage, AttributeTable } from "../../../core/ports/attribute-table.ts";
import type { SignedAnswer } from "../../../core/ports/row-table.ts";
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

  async put(partition: string, number: bigint, record: Uint8Array, putMs: number): Promise<SignedAnswer> {
    const serve = () => this.#server.put(partition, number, record, putMs);
    const { signedMs } = await this.#asked(`put row ${partition}`, serve, putMs);
    return { signedMs };
  }

  async removePutBefore(partition: string, number: bigint, beforeMs: number): Promise<void> {
    await this.#ask(`remove row ${partition}`, () => this.#server.removePutBefore(partition, number, beforeMs));
  }

  query(partition: string, from: bigint, rowsMax: number): Promise<AttributeRowPage> {
    return this.#ask(`query ${partition}`, () => this.#server.query(partition, from, rowsMax));
  }

  async #ask<Answer>(what: string, serve: () => Promise<Answer>): Promise<Answer> {
    return (await this.#asked(what, serve, Infinity)).answer;
  }

  #asked<Answer>(what: string, serve: () => Answer, restsOnMs: number) {
    return this.#process.ask({ what, serve, restsOnMs, signatureMs: dynamoSignatureMs });
  }
}
