import { paginateScan } from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import type { Handler } from "../../test/support/aws/handlers.ts";
import type { AwsPlace } from "../../test/support/aws/aws-under-test.ts";
import { operationTenant, type Operation } from "../../test/support/aws/operations.ts";
import { tracesIn } from "../../test/support/traces.ts";

interface AskedErasure {
  readonly id: string;
  /** Begins each payload that it was to take. */
  readonly sought: readonly string[];
}

/** Erasures that were asked for, and what of them may not be found anywhere once they are gone. */
export class ErasedValues {
  /** By group: what was acknowledged, and is not written by anybody again. */
  readonly #written = new Map<string, Operation[]>();
  readonly #before = new Map<Operation, readonly Operation[]>();
  readonly #asked: AskedErasure[] = [];
  /** Groups with an erasure that nobody heard of again. */
  readonly unanswered = new Set<string>();

  /** What was answered before an erasure begins is erased by it. */
  began(operation: Operation): void {
    if (isErasing(operation)) this.#before.set(operation, this.#written.get(operation.group) ?? []);
  }

  ended(operation: Operation, answer: unknown): void {
    const { kind, group, ids, key } = operation;
    if (isErasing(operation) && answer === undefined) this.unanswered.add(group);
    if (isErasing(operation) && typeof answer === "string") {
      const written = this.#before.get(operation) ?? [];
      const taken = written.filter((one) => one.ids.every((id) => ids.includes(id)));
      this.#asked.push({ id: answer, sought: taken.map(({ value }) => `${value} `) });
    }
    const isWritten = kind === "write" || (kind === "create" && answer === true);
    if (isWritten && answer !== undefined && key === undefined) {
      this.#written.set(group, [...(this.#written.get(group) ?? []), operation]);
    }
  }

  /** How far they are, and traces of those that are gone. */
  async survey({ store, clients }: Handler, { bucket, table }: AwsPlace) {
    const receipts = await store.erasures({ tenant: operationTenant });
    const gone = new Set(receipts.filter(({ state }) => state === "gone").map(({ id }) => id));
    const counts = { asked: receipts.length, gone: gone.size, hiding: 0, open: 0, segmentsGone: 0, payloadsSought: 0 };
    for (const { state, segments } of receipts) {
      if (state === "hiding") counts.hiding += 1;
      else if (state !== "gone") counts.open += 1;
      counts.segmentsGone += segments.filter((segment) => segment.state === "gone").length;
    }
    const sought = [...new Set(this.#asked.filter(({ id }) => gone.has(id)).flatMap((one) => one.sought))];
    counts.payloadsSought = sought.length;
    const traces: string[] = [];
    const look = async (where: string, bytes: Uint8Array, segment?: string) => {
      for (const value of await tracesIn(bytes, sought, segment)) traces.push(`a trace of ${value}is in ${where}`);
    };
    for await (const { Contents = [] } of paginateListObjectsV2({ client: clients.s3 }, { Bucket: bucket })) {
      for (const { Key = "" } of Contents) {
        const { Body } = await clients.s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
        await look(Key, (await Body?.transformToByteArray()) ?? new Uint8Array(0));
      }
    }
    for await (const { Items = [] } of paginateScan({ client: clients.dynamo }, { TableName: table })) {
      for (const { pk, sk, r } of Items) {
        if (!pk?.S?.startsWith("~")) await look(`row ${pk?.S} ${sk?.N}`, r?.B ?? new Uint8Array(0));
      }
    }
    return { counts, traces };
  }
}

function isErasing({ kind }: Operation): boolean {
  return kind === "erase" || kind === "erase the group";
}
