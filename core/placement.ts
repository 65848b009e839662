/** What requests cost, in dollars. docs/cost.md. */
export interface Prices {
  /** One PUT of an object. */
  readonly objectPut: number;
  /** One GET of an object, or of a range of it. */
  readonly objectGet: number;
  /** One write unit: a row's write for each KB begun. */
  readonly writeUnit: number;
  /** One read unit: a consistent read for each 4 KB begun. */
  readonly readUnit: number;
}

/** On-demand list prices of S3 Standard and DynamoDB, us-east-1. https://aws.amazon.com/s3/pricing, https://aws.amazon.com/dynamodb/pricing/on-demand */
export const listPrices: Prices = {
  objectPut: 5e-6,
  objectGet: 0.4e-6,
  writeUnit: 0.625e-6,
  readUnit: 0.125e-6,
};

/** What keeping a byte for a month costs, in dollars: in a row of a table, and in an object. List prices as above. */
export const storagePrices = { row: 0.25e-9, object: 0.023e-9 } as const;

/** So long a payload is taken to be kept, in months. */
const monthsKept = 12;

/** Bytes of a row that refers to a segment; and what DynamoDB bills for each row beside its bytes. */
const referringRowBytes = 250;

/**
 * Whether a frame that its row keeps whole is cheaper in a segment: over a year of storage, against a write of the row, its share
 * of a PUT, and one read that takes a GET more.
 *
 * @param sharing  frames of the segment
 */
export function movePays(rowBytes: number, sharing: number, prices: Prices = listPrices): boolean {
  const inRow = rowBytes * storagePrices.row;
  const apart = referringRowBytes * storagePrices.row + rowBytes * storagePrices.object;
  const moving = writeUnits(rowBytes) * prices.writeUnit + prices.objectPut / sharing + prices.objectGet;
  return monthsKept * (inRow - apart) > moving;
}

/** Bytes of the rows that a frame's commit may be, by what the row keeps of it. */
export interface RowSizes {
  /** The whole frame. */
  readonly inline: number;
  /** Its head: who looks a payload up needs not read the segment for it. */
  readonly head: number;
  /** Hashes of its ids alone. */
  readonly pointer: number;
}

export type Placement = keyof RowSizes;

/** A row longer than this is never inline, and never keeps its frame's head, whatever the prices: rows end at 400 KB. */
export const keptRowBytesMax = 131_072;

const writeUnitBytes = 1024;
const readUnitBytes = 4096;

/** Write units of a row. */
export function writeUnits(rowBytes: number): number {
  return Math.ceil(rowBytes / writeUnitBytes);
}

/**
 * Where the frames of one batch go: into their rows, or into one segment that they share. The cheapest over a payload's
 * life: its row is written once and deleted once, which is billed alike, and is read once.
 *
 * @returns a placement for each frame, in their order
 */
export function placeFrames(frames: readonly RowSizes[], prices: Prices = listPrices): Placement[] {
  const inSegment = frames.map((sizes) => {
    const referring = cheaperReference(sizes);
    const apart = rowCost(sizes[referring], prices) + prices.objectGet;
    // The segment is paid for once; a frame whose row costs no more with all of it stays where no GET is needed.
    return mayKeep(sizes.inline) && rowCost(sizes.inline, prices) <= apart
      ? { placement: "inline" as const, cost: rowCost(sizes.inline, prices) }
      : { placement: referring, cost: apart };
  });
  const segmentCost = prices.objectPut + total(inSegment.map(({ cost }) => cost));
  const inlineCost = frames.every(({ inline }) => mayKeep(inline))
    ? total(frames.map(({ inline }) => rowCost(inline, prices)))
    : Infinity;
  return inlineCost <= segmentCost ? frames.map(() => "inline") : inSegment.map(({ placement }) => placement);
}

/** A head is kept where that adds no write unit. */
export function cheaperReference({ head, pointer }: RowSizes): "head" | "pointer" {
  return mayKeep(head) && writeUnits(head) <= writeUnits(pointer) ? "head" : "pointer";
}

function mayKeep(rowBytes: number): boolean {
  return rowBytes <= keptRowBytesMax;
}

function rowCost(rowBytes: number, prices: Prices): number {
  return 2 * writeUnits(rowBytes) * prices.writeUnit + Math.ceil(rowBytes / readUnitBytes) * prices.readUnit;
}

function total(costs: readonly number[]): number {
  return costs.reduce((sum, cost) => sum + cost, 0);
}
