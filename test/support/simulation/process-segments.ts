import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { concat } from "../../../core/bytes.ts";
import { PayloadStoreError } from "../../../core/errors.ts";
import type { FramePlace, SegmentSummary, WholeFrame, WholeSegments } from "../../../core/ports/segment-store.ts";
import type { StoredObject, StoredObjects } from "../../../core/ports/stored-objects.ts";
import { SegmentBinding } from "../../../core/segment/binding.ts";
import { encodeFooter, type FrameEntry } from "../../../core/segment/footer.ts";
import { encodeFrame, groupCrc, type FrameDraft } from "../../../core/segment/frame.ts";
import { encodeSegmentHeader, segmentHeaderBytes, syncMarkerBytes } from "../../../core/segment/header.ts";
import { SegmentNames } from "../../../core/segment/name.ts";
import { scanSegment, type ScanStart, type SegmentScan } from "../../../core/segment/scan.ts";
import { collect } from "../../conformance/expectations.ts";
import type { ObjectServer } from "./object-server.ts";
import { type Process, s3SignatureMs } from "./process.ts";
import type { World } from "./world.ts";

/** What a row keeps of a frame: drawn for each, since no price tells it here. */
type Keeps = "all" | "head" | "nothing";

interface Waiting {
  readonly frame: FrameDraft;
  readonly keeps: Keeps;
  readonly resolve: (place: FramePlace) => void;
  readonly reject: (error: unknown) => void;
}

export interface SegmentRules {
  /** A frame is stored once its segment is. */
  readonly waitsForPut: boolean;
}

/** Objects of one answer of a list. */
const listedMax = 5;

/**
 * Segments as a process sees them: objects behind its network, put whole. Frames that are appended in one turn share a
 * segment. A PUT is fenced by the time in its name, as on S3.
 */
export class ProcessSegments implements WholeSegments, StoredObjects {
  readonly failure = undefined;
  readonly #world: World;
  readonly #process: Process;
  readonly #server: ObjectServer;
  readonly #rules: SegmentRules;
  readonly #names: SegmentNames;
  readonly #gathering = new Map<string, Waiting[]>();

  constructor(world: World, process: Process, server: ObjectServer, rules: SegmentRules = { waitsForPut: true }) {
    this.#world = world;
    this.#process = process;
    this.#server = server;
    this.#rules = rules;
    this.#names = new SegmentNames(process, process);
  }

  append(tenant: string, frame: FrameDraft): Promise<FramePlace> {
    const keeps: Keeps = frame.inSegment ? "nothing" : this.#world.random.pick(["all", "all", "head", "nothing"]);
    if (keeps === "all") return this.#process.sleep(0).then(() => this.#inline(frame));
    return new Promise((resolve, reject) => {
      const waiting = { frame, keeps, resolve, reject };
      const gathering = this.#gathering.get(tenant);
      if (gathering) gathering.push(waiting);
      else {
        this.#gathering.set(tenant, [waiting]);
        void this.#process.sleep(0).then(() => this.#putGathered(tenant));
      }
    });
  }

  appendWhole(tenant: string, frames: readonly WholeFrame[]): Promise<readonly FramePlace[]> {
    const waiting: Waiting[] = [];
    const places = frames.map(
      ({ frame }) =>
        new Promise<FramePlace>((resolve, reject) => {
          waiting.push({ frame, keeps: "nothing", resolve, reject });
        }),
    );
    void this.#process.sleep(0).then(() => this.#put(tenant, waiting));
    return Promise.all(places);
  }

  async read(tenant: string, segment: string, offset: number, bytes: number): Promise<Uint8Array> {
    const whole = await this.#whole(tenant, segment);
    if (offset + bytes <= whole.length) return whole.subarray(offset, offset + bytes);
    throw new PayloadStoreError("CORRUPT", `segment ${segment} ends at byte ${whole.length}, before ${offset + bytes}`);
  }

  async segments(): Promise<readonly SegmentSummary[]> {
    const objects = await collect(this.list());
    return objects.map(({ tenant, name, bytes }) => ({ tenant, segment: name, bytes }));
  }

  async scan(tenant: string, segment: string, start?: ScanStart): Promise<SegmentScan> {
    const whole = await this.#whole(tenant, segment);
    const read = (offset: number, bytes: number) => whole.subarray(offset, offset + bytes);
    return scanSegment({ tenant, segment, size: whole.length, read }, nodeDigest, start);
  }

  /** A page of the listing is as the objects are when it is asked for. */
  async *list(tenant?: string): AsyncGenerator<StoredObject> {
    const prefix = tenant === undefined ? "segments/" : `segments/${tenant}/`;
    for (let after = ""; ;) {
      const from = after;
      const serve = () => this.#server.list(prefix, from, listedMax);
      const { answer } = await this.#ask(`list after ${from}`, serve);
      for (const { key, bytes, putMs } of answer) {
        const [, owner, name] = /^segments\/([^/]+)\/([^/]+)\.seg$/.exec(key) ?? [];
        if (owner !== undefined && name !== undefined)
          yield { kind: "segments", tenant: owner, name, bytes, modifiedMs: putMs };
      }
      if (answer.length < listedMax) return;
      after = answer.at(-1)!.key;
    }
  }

  async remove(objects: readonly Pick<StoredObject, "tenant" | "name">[]): Promise<void> {
    for (const { tenant, name } of objects) {
      const key = objectKey(tenant, name);
      await this.#ask(`remove ${key}`, () => this.#server.remove(key));
    }
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}

  async #putGathered(tenant: string): Promise<void> {
    const batch = this.#gathering.get(tenant) ?? [];
    this.#gathering.delete(tenant);
    await this.#put(tenant, batch);
  }

  async #put(tenant: string, batch: readonly Waiting[]): Promise<void> {
    const namedMs = this.#process.nowMs();
    const segment = this.#names.next();
    const { bytes, places } = this.#encode(tenant, segment, namedMs, batch);
    const key = objectKey(tenant, segment);
    try {
      const restsOnMs = Math.min(namedMs, ...batch.map(({ frame }) => frame.restsOnMs ?? Infinity));
      const putting = this.#ask(`put ${key}`, () => this.#server.put(key, bytes), restsOnMs);
      const { signedMs } = this.#rules.waitsForPut ? await putting : { signedMs: namedMs };
      putting.catch(() => {});
      for (const [i, { keeps, resolve }] of batch.entries()) {
        const { held, ...place } = places[i]!;
        resolve({ ...place, storedMs: signedMs, ...(keeps === "head" ? { held } : {}) });
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #encode(tenant: string, segment: string, namedMs: number, batch: readonly Waiting[]) {
    const binding = new SegmentBinding(nodeDigest, segment);
    const marker = this.#process.bytes(syncMarkerBytes);
    const parts = [encodeSegmentHeader({ tenant, segment, marker, createdMs: namedMs }, binding)];
    const frames: FrameEntry[] = [];
    const places: FramePlace[] = [];
    let offset = segmentHeaderBytes;
    let groupCrcBefore = 0;
    for (const { frame } of batch) {
      const encoded = encodeFrame(frame, offset, { binding, marker, number: frames.length, groupCrcBefore });
      const { headBytes } = encoded;
      const { group, kind, sequence } = frame;
      frames.push({ group, kind, sequence, offset, headBytes, bodyBytes: encoded.bytes - headBytes });
      places.push({ segment, offset, headBytes, held: concat(encoded.parts).slice(0, headBytes) });
      parts.push(...encoded.parts);
      offset += encoded.bytes;
      groupCrcBefore = groupCrc(group, (bytes) => nodeDigest.crc32(bytes));
    }
    parts.push(encodeFooter({ frames, voids: [] }, marker, offset, binding));
    return { bytes: concat(parts), places };
  }

  #inline(frame: FrameDraft): FramePlace {
    const segment = this.#names.next();
    const marker = this.#process.bytes(syncMarkerBytes);
    const context = { binding: new SegmentBinding(nodeDigest, segment), marker, number: 0, groupCrcBefore: 0 };
    const { parts, headBytes } = encodeFrame(frame, 0, context);
    return { segment, offset: 0, headBytes, held: concat(parts), inline: true };
  }

  async #whole(tenant: string, segment: string): Promise<Uint8Array> {
    const key = objectKey(tenant, segment);
    const { answer } = await this.#ask(`get ${key}`, () => this.#server.get(key));
    if (answer) return answer.bytes;
    throw new PayloadStoreError("GONE", `there is no object ${key}`, { details: { key } });
  }

  #ask<Answer>(what: string, serve: () => Answer, restsOnMs = Infinity) {
    return this.#process.ask({ what, serve, restsOnMs, signatureMs: s3SignatureMs });
  }
}

function objectKey(tenant: string, segment: string): string {
  return `segments/${tenant}/${segment}.seg`;
}
