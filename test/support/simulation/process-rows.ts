import type { MemoryRowTable } from "../../../core/adapters/memory/memory-row-table.ts";
import type {
  RowCondition,
  RowKey,
  RowOutcome,
  RowPage,
  RowTable,
  ScannedRow,
  SignedAnswer,
  StoredRow,
} from "../../../core/ports/row-table.ts";
import { collect } from "../../conformance/expectations.ts";
import { dynamoSignatureMs, type Process } from "./process.ts";

/** A table as a process sees it: behind its network. The server's own fence is off, for each try here has its own. */
export class ProcessRows implements RowTable {
  readonly name = "the table";
  readonly #process: Process;
  readonly #server: MemoryRowTable;

  constructor(process: Process, server: MemoryRowTable) {
    this.#process = process;
    this.#server = server;
  }

  async put(key: RowKey, record: Uint8Array, condition: RowCondition, restsOnMs: number): Promise<RowOutcome> {
    const what = condition === "free" ? "put" : "swap";
    const serve = () => this.#server.put(key, record, condition, Infinity);
    const { answer, signedMs } = await this.#ask(`${what} row ${nameOf(key)}`, serve, restsOnMs);
    return { ...(await answer), signedMs };
  }

  async remove(key: RowKey, record: Uint8Array, restsOnMs: number): Promise<RowOutcome> {
    const serve = () => this.#server.remove(key, record, Infinity);
    const { answer, signedMs } = await this.#ask(`remove row ${nameOf(key)}`, serve, restsOnMs);
    return { ...(await answer), signedMs };
  }

  async get(key: RowKey): Promise<SignedAnswer & { readonly row: StoredRow | undefined }> {
    const { answer, signedMs } = await this.#ask(`get row ${nameOf(key)}`, () => this.#server.get(key));
    return { ...(await answer), signedMs };
  }

  async last(partition: string): Promise<SignedAnswer & { readonly row: StoredRow | undefined }> {
    const serve = () => this.#server.last(partition);
    const { answer, signedMs } = await this.#ask(`ask the last row of ${partition}`, serve);
    return { ...(await answer), signedMs };
  }

  async *query(partition: string, from = 0): AsyncGenerator<RowPage> {
    for (let start = from; ;) {
      const serve = () => this.#server.query(partition, start).next();
      const { answer, signedMs } = await this.#ask(`query ${partition} from ${start}`, serve);
      const { value } = await answer;
      const rows = value?.rows ?? [];
      yield { rows, signedMs };
      // A page that is full tells where to go on, also where nothing follows.
      if (rows.length < this.#server.pageRowsMax) return;
      start = rows.at(-1)!.number + 1;
    }
  }

  async *scan(prefix?: string, after?: RowKey): AsyncGenerator<ScannedRow> {
    const partitions = new Set<string>();
    const { answer } = await this.#ask("scan for partitions", () => collect(this.#server.scan(prefix)));
    for (const { partition } of await answer) partitions.add(partition);
    // Partitions are met one after the other, in an order that stays, each as it is by then.
    for (const partition of [...partitions].sort()) {
      if (after && partition < after.partition) continue;
      for await (const { rows } of this.query(partition)) {
        for (const row of rows) {
          if (after?.partition !== partition || row.number > after.number) yield { partition, ...row };
        }
      }
    }
  }

  #ask<Answer>(what: string, serve: () => Answer, restsOnMs = Infinity) {
    return this.#process.ask({ what, serve, restsOnMs, signatureMs: dynamoSignatureMs });
  }
}

function nameOf({ partition, number }: RowKey): string {
  return `${partition}#${number}`;
}
