import type { ByteReader, ByteWriter } from "../byte-stream.ts";
import { utf8 } from "../bytes.ts";
import { limits } from "../limits.ts";
import type { Location } from "../payload.ts";
import { isSegmentName, segmentNameBytes } from "../segment/name.ts";
import { bodyHashBytes, type PageRequest, readRequest, writeRequest } from "./page-request.ts";

/**
 * What a page takes the place of. It brings again, as they were, payloads that older pages brought; what is left of the pages up to
 * `through` is not needed any more. docs/decisions/0024.
 */
export interface MergedPages {
  /** Pages of the group up to this sequence are hidden, and need not exist; 0 for none. */
  readonly through: number;
  /** How long the payloads had been there when they were compressed anew: 0 not long, 1 a day, 2 a month. */
  readonly tier: Tier;
  /** Requests that pages up to `through` were the answers to. */
  readonly requests: readonly MergedRequest[];
  /** Payloads of later pages whose place in the order pages up to `through` gave. */
  readonly order: readonly FirstPlace[];
}

export type Tier = 0 | 1 | 2;

/** A request that was answered before its page was merged. */
export interface MergedRequest extends PageRequest {
  /** When, milliseconds since 1970. */
  readonly timeMs: number;
  /** Where the payloads lay when it was answered. */
  readonly answer: readonly Location[];
}

/** Where an id first stood since it was last absent: its place in the order, and its cursor. */
export interface FirstPlace {
  readonly id: string;
  readonly sequence: number;
  readonly position: number;
}

export function writeMerged(writer: ByteWriter, { through, tier, requests, order }: MergedPages): void {
  writer.varint(through);
  writer.uint8(tier);
  writer.varint(requests.length);
  for (const { key, bodyHash, timeMs, answer } of requests) {
    writeRequest(writer, { key, bodyHash });
    writer.varint(timeMs);
    writer.varint(answer.length);
    for (const { segment, offset, stored, codec, start, length, page } of answer) {
      writer.bytes(utf8(segment));
      writer.uint8(codec);
      for (const value of [offset, stored, start, length, page?.sequence ?? 0]) writer.varint(value);
    }
  }
  writer.varint(order.length);
  for (const { id, sequence, position } of order) {
    writer.text(id);
    writer.varint(sequence);
    writer.varint(position);
  }
}

export function readMerged(reader: ByteReader): MergedPages {
  const through = reader.varint();
  const tier = reader.uint8();
  if (through > limits.sequenceMax || (tier !== 0 && tier !== 1 && tier !== 2)) reader.fail();
  const requests: MergedRequest[] = [];
  for (let left = reader.count(limits.pageBytesMax, minRequestBytes); left > 0 && !reader.failed; left--) {
    const request = { ...readRequest(reader), timeMs: reader.varint() };
    const answer: Location[] = [];
    for (let more = reader.count(limits.commitPayloadsMax, minLocationBytes); more > 0 && !reader.failed; more--)
      answer.push(readLocation(reader));
    requests.push({ ...request, answer });
  }
  const order: FirstPlace[] = [];
  for (let left = reader.count(limits.pageBytesMax, 4); left > 0 && !reader.failed; left--) {
    order.push({ id: reader.text(limits.nameBytesMax), sequence: reader.varint(), position: reader.varint() });
  }
  return { through, tier: tier === 2 ? 2 : tier === 1 ? 1 : 0, requests, order };
}

/** The group of a location that has a page is that of the page it is kept in. */
function readLocation(reader: ByteReader): Location {
  const segment = new TextDecoder().decode(reader.bytes(segmentNameBytes));
  const code = reader.uint8();
  const codec = code === 1 || code === 2 ? code : 0;
  if (code !== codec || !isSegmentName(segment)) reader.fail();
  const [offset, stored, start, length, sequence] = [0, 0, 0, 0, 0].map(() => reader.varint()) as FiveNumbers;
  const location: Location = { version: 0, segment, offset, stored, codec, start, length };
  return sequence === 0 ? location : { ...location, page: { group: "", sequence } };
}

type FiveNumbers = [number, number, number, number, number];

const minRequestBytes = 1 + 1 + bodyHashBytes + 1 + 1;
const minLocationBytes = segmentNameBytes + 1 + 5;
