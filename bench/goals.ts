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

function mostOf(peers: readonly PeerRounds[], of: (peer: PeerRounds) => number): PeerRounds {
  return peers.reduce((best, peer) => (of(peer) > of(best) ? peer : best));
}

function leastOf(peers: readonly PeerRounds[], of: (peer: PeerRounds) => number): PeerRounds {
  return peers.reduce((best, peer) => (of(peer) < of(best) ? peer : best));
}
