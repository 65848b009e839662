import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { S3Client } from "@aws-sdk/client-s3";
import { type Prices, writeUnits } from "../../placement.ts";

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
      options: { step: "initialize" | "deserialize"; priority: "high"; name: string; override: true },
    ): void;
  };
}

type Item = Readonly<Record<string, unknown>>;

interface Call {
  readonly input: { readonly Body?: { readonly length?: number }; readonly Item?: Item };
}

interface Answer {
  readonly output?: {
    readonly ConsumedCapacity?: Capacity | readonly Capacity[];
    readonly ContentLength?: number;
  };
}

interface Capacity {
  readonly CapacityUnits?: number;
}

const reads = new Set(["GetItem", "Query", "Scan", "BatchGetItem"]);
const writes = new Set(["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]);
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
    const stack = (client as unknown as MeteredClient).middlewareStack;
    const options = { priority: "high", override: true } as const;
    stack.add(askingForUnits, { ...options, step: "initialize", name: "paylodeMeterUnits" });
    stack.add(this.#counting, { ...options, step: "deserialize", name: "paylodeMeter" });
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

  readonly #counting = (next: (args: never) => Promise<never>, context: never) => async (args: never) => {
    const name = nameOf(context);
    const { input } = args as Call;
    this.#requests[name] = (this.#requests[name] ?? 0) + 1;
    if (name === "PutObject") this.#objectBytesIn += input.Body?.length ?? 0;
    try {
      const answer = await next(args);
      const { output } = answer as Answer;
      if (reads.has(name)) this.#readUnits += unitsOf(output?.ConsumedCapacity);
      if (writes.has(name)) this.#writeUnits += unitsOf(output?.ConsumedCapacity);
      if (name === "GetObject") this.#objectBytesOut += output?.ContentLength ?? 0;
      return answer;
    } catch (error) {
      if (error instanceof Error && error.name === "ConditionalCheckFailedException") {
        // It is billed as the larger of the two rows, and is not told. The one that was there is, where that was asked for.
        const there = "Item" in error ? (error.Item as Item | undefined) : undefined;
        this.#writeUnits += Math.max(1, ...[input.Item, there].map((item) => writeUnits(itemBytes(item ?? {}))));
      }
      throw error;
    }
  };
}

/** What the counted requests cost, in dollars. Storage and transfer are not in it. */
export function requestDollars({ requests, readUnits, writeUnits: written }: RequestCounts, prices: Prices): number {
  let dollars = readUnits * prices.readUnit + written * prices.writeUnit;
  for (const [name, count] of Object.entries(requests)) {
    if (puts.has(name)) dollars += count * prices.objectPut;
    if (gets.has(name)) dollars += count * prices.objectGet;
  }
  return dollars;
}

/** DynamoDB tells the units of a request to those who ask. */
const askingForUnits = (next: (args: never) => Promise<never>, context: never) => (args: never) => {
  const { input } = args as Call;
  const name = nameOf(context);
  if (!reads.has(name) && !writes.has(name)) return next(args);
  return next({ ...(args as Call), input: { ReturnConsumedCapacity: "TOTAL", ...input } } as never);
};

function nameOf(context: never): string {
  return ((context as { readonly commandName?: string }).commandName ?? "").replace(/Command$/, "");
}

function unitsOf(consumed: Capacity | readonly Capacity[] = []): number {
  return [consumed].flat().reduce((sum, { CapacityUnits: units = 0 }) => sum + units, 0);
}

/** Names and values of an item, as DynamoDB weighs it. */
function itemBytes(item: Item): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(item)) {
    const { S, N, B } = value as { readonly S?: string; readonly N?: string; readonly B?: Uint8Array };
    bytes += name.length + (B?.length ?? 0) + (S === undefined ? 0 : new TextEncoder().encode(S).length);
    bytes += N === undefined ? 0 : Math.ceil(N.length / 2) + 1;
  }
  return bytes;
}
