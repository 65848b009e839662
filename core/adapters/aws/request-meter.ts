import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { S3Client } from "@aws-sdk/client-s3";
import type { Prices } from "../../placement.ts";

/** What was asked of AWS so far, each try of a request counted. */
export interface RequestCounts {
  /** By the API's name: `PutObject`, `Query` … */
  readonly requests: Readonly<Record<string, number>>;
  readonly readUnits: number;
  /** Writes that were refused by their condition are billed too. */
  readonly writeUnits: number;
  /** Bodies that were put into objects, and read from them. */
  readonly objectBytesIn: number;
  readonly objectBytesOut: number;
}

/** Either client, as far as a meter needs it. */
interface MeteredClient {
  readonly middlewareStack: {
    add(
      middleware: (next: (args: never) => Promise<never>, context: never) => (args: never) => Promise<never>,
      options: { step: "deserialize"; priority: "high"; name: string; override: true },
    ): void;
  };
}

interface Call {
  readonly input?: { readonly Body?: { readonly length?: number }; readonly Item?: Record<string, unknown> };
}

interface Answer {
  readonly output?: {
    readonly ConsumedCapacity?: { readonly CapacityUnits?: number };
    readonly ContentLength?: number;
  };
}

const reads = new Set(["GetItem", "Query", "Scan", "BatchGetItem"]);
const puts = new Set(["PutObject", "CopyObject", "ListObjectsV2", "CreateMultipartUpload", "UploadPart"]);
const gets = new Set(["GetObject", "HeadObject", "HeadBucket"]);

/** Counts what clients ask of S3 and DynamoDB, where each try is sent. */
export class RequestMeter {
  #requests: Record<string, number> = {};
  #readUnits = 0;
  #writeUnits = 0;
  #objectBytesIn = 0;
  #objectBytesOut = 0;

  /** Counts what a client asks from now on. A client has one meter, the last. */
  watch(client: S3Client | DynamoDBClient): void {
    const middleware = (next: (args: never) => Promise<never>, context: never) => async (args: never) => {
      const name = ((context as { readonly commandName?: string }).commandName ?? "").replace(/Command$/, "");
      this.#requests[name] = (this.#requests[name] ?? 0) + 1;
      const { input } = args as Call;
      if (name === "PutObject") this.#objectBytesIn += input?.Body?.length ?? 0;
      try {
        const answer = await next(args);
        const { output } = answer as Answer;
        const units = output?.ConsumedCapacity?.CapacityUnits ?? 0;
        if (reads.has(name)) this.#readUnits += units;
        else this.#writeUnits += units;
        if (name === "GetObject") this.#objectBytesOut += output?.ContentLength ?? 0;
        return answer;
      } catch (error) {
        // It is billed as the write of the larger of the two rows, of which only one is known.
        if (error instanceof Error && error.name === "ConditionalCheckFailedException") {
          this.#writeUnits += Math.max(1, Math.ceil(itemBytes(input?.Item ?? {}) / 1024));
        }
        throw error;
      }
    };
    const where = { step: "deserialize", priority: "high", name: "paylodeMeter", override: true } as const;
    (client as unknown as MeteredClient).middlewareStack.add(middleware, where);
  }

  counts(): RequestCounts {
    return {
      requests: { ...this.#requests },
      readUnits: this.#readUnits,
      writeUnits: this.#writeUnits,
      objectBytesIn: this.#objectBytesIn,
      objectBytesOut: this.#objectBytesOut,
    };
  }

  reset(): void {
    this.#requests = {};
    this.#readUnits = 0;
    this.#writeUnits = 0;
    this.#objectBytesIn = 0;
    this.#objectBytesOut = 0;
  }
}

/** What the counted requests cost, in dollars. Storage and transfer are not in it. */
export function requestDollars({ requests, readUnits, writeUnits }: RequestCounts, prices: Prices): number {
  let dollars = readUnits * prices.readUnit + writeUnits * prices.writeUnit;
  for (const [name, count] of Object.entries(requests)) {
    if (puts.has(name)) dollars += count * prices.objectPut;
    if (gets.has(name)) dollars += count * prices.objectGet;
  }
  return dollars;
}

/** Names and values of an item, as DynamoDB weighs it. */
function itemBytes(item: Record<string, unknown>): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(item)) {
    const { S, N, B } = value as { readonly S?: string; readonly N?: string; readonly B?: Uint8Array };
    bytes += name.length + (B?.length ?? 0) + (S === undefined ? 0 : new TextEncoder().encode(S).length);
    bytes += N === undefined ? 0 : Math.ceil(N.length / 2) + 1;
  }
  return bytes;
}
