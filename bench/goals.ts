import { uncached } from "./measures/codec.ts";
import type { BenchRecord, PeerRounds } from "./record.ts";
import { median } from "./spread.ts";

/** What was aimed at, and what a record shows of it. */
export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly reached: string;
  readonly held: boolean;
}

/** The goals that a record can tell of. One that is missed is said to be missed: why, stands in docs/performance.md. */
export function goals(record: BenchRecord): Goal[] {
  const ours = record.peers.find(({ name }) => name === "paylode");
  const rivals = record.peers.filter((peer) => peer !== ours && peer.write[0]?.payloads === record.work.payloads);
  if (!ours || rivals.length === 0) return [];
  const fastest = mostOf(rivals, written);
  const smallest = leastOf(rivals, disk);
  // A peer that takes less room than Paylode would be allowed to read more slowly.
  const compressing = rivals.filter((peer) => peer.name.endsWith("zstd") && disk(peer) >= disk(ours));
  const found: Goal[] = [
    atLeast(
      "payloads written, of the fastest durable peer's",
      written(ours) / written(fastest),
      1.5,
      "×",
      fastest.name,
    ),
    atMost("bytes on disk, of raw", disk(ours), 0.35, ""),
    atMost("bytes on disk, of the smallest peer's", disk(ours) / disk(smallest), 0.65, "×", smallest.name),
    atMost("random get p50 in shared blocks", getMicros(ours), 45, " µs"),
    atMost(
      "heap a payload after opening",
      medianOf(ours.open, ({ heapBytesPerPayload }) => heapBytesPerPayload),
      60,
      " B",
    ),
  ];
  if (compressing.length > 0) {
    const quickest = leastOf(compressing, getMicros);
    const ratio = getMicros(quickest) / getMicros(ours);
    found.push(atLeast("random gets, of the fastest compressing peer's", ratio, 2, "×", quickest.name));
  }
  if (record.work.payloads >= 1_000_000) {
    found.push(
      atMost(
        "open of a closed store",
        medianOf(ours.open, ({ openMs }) => openMs),
        20,
        " ms",
      ),
    );
  }
  const killed = record.killed.find(({ choice }) => choice === "safe, zstd")?.rounds ?? [];
  if (killed.length > 0) {
    const tail = `${spelled(medianOf(killed, ({ payloads }) => payloads))} payloads in 63 MiB`;
    found.push(
      atMost(
        "open after a kill",
        medianOf(killed, ({ openMs }) => openMs),
        300,
        " ms",
        tail,
      ),
    );
  }
  const lones = record.codecs.filter(({ choice, rounds }) => choice === uncached && rounds.length > 0);
  const few = leastPayloads(lones);
  const many = mostPayloads(lones);
  if (few && many && few !== many) {
    const p50 = ({ rounds }: typeof few) => medianOf(rounds, ({ get }) => get.p50);
    const counts = `${spelled(few.payloads)} to ${spelled(many.payloads)} payloads`;
    found.push(atMost("lone LZ4 without a cache, get p50 of many, of few", p50(many) / p50(few), 1.2, "×", counts));
  }
  const lone = record.codecs.find(({ choice }) => choice === "lone lz4")?.rounds ?? [];
  if (lone.length > 0) {
    const room = `at ${medianOf(lone, ({ diskRatio }) => diskRatio).toFixed(2)} of raw, goal 0.6`;
    found.push(
      atMost(
        "random get p50, lone LZ4",
        medianOf(lone, ({ get }) => get.p50),
        10,
        " µs",
        room,
      ),
    );
  }
  if (record.rebuild.length > 0) {
    const rate = medianOf(record.rebuild, ({ payloadsPerSecond }) => payloadsPerSecond);
    found.push(atLeast("payloads a second when the index is made anew", rate, 500_000, ""));
  }
  const served = record.http.find(({ server }) => server === "paylode")?.rounds ?? [];
  if (served.length > 0) {
    found.push(
      atLeast(
        "PUTs a second over HTTP, 64 connections",
        medianOf(served, ({ put }) => put.perSecond),
        5_000,
        "",
      ),
      atLeast(
        "GETs a second over HTTP, 64 connections",
        medianOf(served, ({ get }) => get.perSecond),
        10_000,
        "",
      ),
    );
  }
  return found;
}

function atLeast(what: string, value: number, bound: number, unit: string, of?: string): Goal {
  return goalOf(what, value, `≥ ${spelled(bound)}${unit}`, unit, value >= bound, of);
}

function atMost(what: string, value: number, bound: number, unit: string, of?: string): Goal {
  return goalOf(what, value, `≤ ${spelled(bound)}${unit}`, unit, value <= bound, of);
}

function goalOf(what: string, value: number, goal: string, unit: string, held: boolean, of?: string): Goal {
  return { what, goal, reached: `${spelled(value)}${unit}${of === undefined ? "" : ` (${of})`}`, held };
}

function spelled(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : Number(value.toPrecision(2)).toString();
}

const written = (peer: PeerRounds): number => medianOf(peer.write, ({ payloadsPerSecond }) => payloadsPerSecond);
const disk = (peer: PeerRounds): number => medianOf(peer.write, ({ diskRatio }) => diskRatio);
const getMicros = (peer: PeerRounds): number => medianOf(peer.read, ({ get }) => get.p50);

function medianOf<Round>(rounds: readonly Round[], of: (round: Round) => number): number {
  return median(rounds.map(of));
}

type Codecs = BenchRecord["codecs"];

function leastPayloads(codecs: Codecs): Codecs[number] | undefined {
  return codecs.toSorted((a, b) => a.payloads - b.payloads)[0];
}

function mostPayloads(codecs: Codecs): Codecs[number] | undefined {
  return codecs.toSorted((a, b) => b.payloads - a.payloads)[0];
}

function mostOf(peers: readonly PeerRounds[], of: (peer: PeerRounds) => number): PeerRounds {
  return peers.reduce((best, peer) => (of(peer) > of(best) ? peer : best));
}

function leastOf(peers: readonly PeerRounds[], of: (peer: PeerRounds) => number): PeerRounds {
  return peers.reduce((best, peer) => (of(peer) < of(best) ? peer : best));
}
