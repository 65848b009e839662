import * as fc from "fast-check";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openDisk, type Durability } from "../../../core/entries/disk.ts";
import { Draws, noise, prose } from "../../conformance/sample-bytes.ts";
import { startFaultyServers } from "../aws/handlers.ts";
import { manyHandlers } from "../aws/many-handlers.ts";
import { findsAsMapsDo } from "../find-properties.ts";
import { lanesDoAsMapsDo } from "../lane-map-properties.ts";
import { readDuringMerges } from "../reading-during-merges.ts";
import { askForStrangers } from "../strangers.ts";
import { smallIndex } from "../small-index.ts";
import { flipBit, flippables } from "../bit-flips.ts";
import { fuzzDecoders } from "../fuzz/decoder-fuzz.ts";
import { runCompactionKillTrials, runKillTrials, runServerKillTrials, type KillReport } from "../kill-trials.ts";
import { runPowerLossSchedule } from "../power-loss-schedules.ts";
import { runSchedules } from "../simulation/schedules.ts";
import { crashLeavesWholeCalls, storeDoesAsMapsDo } from "../store-properties.ts";
import type { ChunkResult, SoakPart, Violation } from "./part.ts";

/** The whole soak: about an hour of two processes, and half an hour more for the schedules. */
export const soakParts: Readonly<Record<string, SoakPart>> = {
  kill: {
    what: "kill -9 of a writing process",
    runs: 1000,
    chunk: 20,
    firstSeed: 1_000_000,
    run: (firstSeed, count) => killed(runKillTrials, firstSeed, count),
  },
  "kill-server": {
    what: "kill -9 of a server under four callers and four HTTP clients",
    runs: 200,
    chunk: 10,
    firstSeed: 2_000_000,
    run: (firstSeed, count) => killed(runServerKillTrials, firstSeed, count),
  },
  "kill-compaction": {
    what: "kill -9 of a process that compacts while four callers append and delete, and two read",
    runs: 60,
    chunk: 10,
    firstSeed: 11_000_000,
    run: killedCompacting,
  },
  maps: {
    what: "a store does what maps do, over restarts, rebuilds, kills and power losses",
    runs: 10_000,
    chunk: 100,
    firstSeed: 3_000_000,
    run: (firstSeed, count) => holds(storeDoesAsMapsDo(), firstSeed, count),
  },
  calls: {
    what: "calls under way leave all or nothing, whenever the machine stops",
    runs: 10_000,
    chunk: 500,
    firstSeed: 4_000_000,
    run: (firstSeed, count) => holds(crashLeavesWholeCalls(), firstSeed, count),
  },
  "power-loss": {
    what: "power cut at a random step, durability safe",
    runs: 20_000,
    chunk: 250,
    firstSeed: 5_000_000,
    run: (firstSeed, count) => powerLost("safe", firstSeed, count),
  },
  "power-loss-balanced": {
    what: "power cut at a random step, durability balanced",
    runs: 5000,
    chunk: 250,
    firstSeed: 6_000_000,
    run: (firstSeed, count) => powerLost("balanced", firstSeed, count),
  },
  "power-loss-compaction": {
    what: "power cut at a random step of a folder that is compacted, with either index",
    runs: 5000,
    chunk: 100,
    firstSeed: 12_000_000,
    run: powerLostCompacting,
  },
  finds: {
    what: "a find answers as maps do, over restarts, compaction, rebuilds, kills and power losses",
    runs: 5000,
    chunk: 50,
    firstSeed: 13_000_000,
    run: (firstSeed, count) => holds(findsAsMapsDo({ ...smallIndex, plainKeysMax: 12 }), firstSeed, count),
  },
  lanes: {
    what: "the index on disk answers as a Map of Sets does, merged between any two steps",
    runs: 100_000,
    chunk: 5000,
    firstSeed: 14_000_000,
    run: (firstSeed, count) => holds(lanesDoAsMapsDo(30), firstSeed, count),
  },
  merges: {
    what: "a second of two readers and two followers, beside a writer whose index on disk merges without a pause",
    runs: 60,
    chunk: 10,
    firstSeed: 15_000_000,
    run: readingDuringMerges,
  },
  strangers: {
    what: "a folder with an index on disk is asked for ids that it has not",
    runs: 10_000_000,
    chunk: 500_000,
    firstSeed: 100_000_000,
    run: askedForStrangers,
  },
  fuzz: {
    what: "changed golden bytes given to every decoder",
    runs: 100_000,
    chunk: 5000,
    firstSeed: 7_000_000,
    run: fuzzed,
  },
  flips: {
    what: "every bit of every file of a store of ten records, in each state of its segment, flipped",
    runs: 80_000,
    chunk: 2000,
    firstSeed: 9_000_000,
    run: flipped,
  },
  handlers: {
    what: "1,500 calls of 50 handlers on 10 groups while 400 requests fail are linearizable, id by id",
    runs: 60,
    chunk: 2,
    firstSeed: 10_000_000,
    ofRowProtocol: true,
    run: linearizable,
  },
  sizes: {
    what: "payloads of 0 B–8 MiB stored, read, and read again after a restart",
    runs: 10_000,
    chunk: 200,
    firstSeed: 8_000_000,
    run: stored,
  },
  schedules: {
    what: "handlers on one table and one bucket that freeze, die, and whose requests fail, are lost and arrive late",
    runs: 1_000_000,
    chunk: 2000,
    firstSeed: 10_000_000,
    ofRowProtocol: true,
    run: scheduled,
  },
};

async function killed(
  trials: (count: number, seed: number) => Promise<KillReport>,
  firstSeed: number,
  count: number,
): Promise<ChunkResult> {
  const { acknowledged, lost, wrong, withTail, damage } = await trials(count, firstSeed);
  const broken = lost + wrong + damage > 0;
  const what = `${lost} lost, ${wrong} wrong, ${damage} times damage, of ${acknowledged} acknowledged`;
  return {
    runs: count,
    figures: { acknowledged, lost, wrong, damage, withTail },
    violations: broken ? [{ what, firstSeed, count }] : [],
  };
}

/** A trial takes a second on average: the part is a minute of a process that is killed again and again. */
async function killedCompacting(firstSeed: number, count: number): Promise<ChunkResult> {
  const { trials, ...figures } = await runCompactionKillTrials(count, firstSeed, 1500);
  const { lost, wrong, resurrected, faults, stored } = figures;
  const broken = lost + wrong + resurrected + faults > 0;
  const what = `${lost} lost, ${wrong} wrong, ${resurrected} resurrected, ${faults} faults, of ${stored} stored`;
  return { runs: trials, figures, violations: broken ? [{ what, firstSeed, count }] : [] };
}

/** A chunk is one folder, read for as many seconds as it has seeds. */
async function readingDuringMerges(firstSeed: number, count: number): Promise<ChunkResult> {
  const { wrong, ...figures } = await readDuringMerges(firstSeed, 1000 * count);
  const what = `${wrong.length} wrong: ${wrong.slice(0, 5).join("; ")}`;
  return { runs: count, figures, violations: wrong.length > 0 ? [{ what, firstSeed, count }] : [] };
}

async function holds(property: fc.IRawProperty<unknown>, firstSeed: number, count: number): Promise<ChunkResult> {
  const outcome = await fc.check(property, { seed: firstSeed, numRuns: count });
  const what = outcome.failed ? fc.defaultReportMessage(outcome) : "";
  return { runs: outcome.numRuns, figures: {}, violations: outcome.failed ? [{ what, firstSeed, count }] : [] };
}

function powerLost(durability: Durability, firstSeed: number, count: number): Promise<ChunkResult> {
  return cutOff((seed) => runPowerLossSchedule(seed, new Set(), durability), firstSeed, count);
}

/** Every other seed has an index on disk, so small that it writes itself again and again. */
function powerLostCompacting(firstSeed: number, count: number): Promise<ChunkResult> {
  const run = (seed: number) =>
    runPowerLossSchedule(seed, new Set(), "safe", seed % 2 === 0 ? undefined : smallIndex, true);
  return cutOff(run, firstSeed, count);
}

async function cutOff(
  run: (seed: number) => Promise<string[]>,
  firstSeed: number,
  count: number,
): Promise<ChunkResult> {
  const violations: Violation[] = [];
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const found = await run(seed);
    if (found.length > 0) violations.push({ what: found.join("; "), firstSeed: seed, count: 1 });
  }
  return { runs: count, figures: {}, violations };
}

async function fuzzed(firstSeed: number, count: number): Promise<ChunkResult> {
  const { cases, decoded, refused, violations } = await fuzzDecoders(firstSeed, count);
  const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((total, n) => total + n, 0);
  return {
    runs: cases,
    figures: { decoded: sum(decoded), refused: sum(refused) },
    violations: violations.map(({ seed, target, what }) => ({ what: `${target}: ${what}`, firstSeed: seed, count: 1 })),
  };
}

async function askedForStrangers(firstSeed: number, count: number): Promise<ChunkResult> {
  const { asked, invented, lost } = await askForStrangers(firstSeed, count);
  const broken = invented.length + lost.length > 0;
  const what = `${invented.length} invented, ${lost.length} lost: ${[...invented, ...lost].slice(0, 5).join(", ")}`;
  return {
    runs: asked,
    figures: { invented: invented.length, lost: lost.length },
    violations: broken ? [{ what, firstSeed, count }] : [],
  };
}

async function scheduled(firstSeed: number, count: number): Promise<ChunkResult> {
  const { violations, ...figures } = await runSchedules(firstSeed, count);
  return {
    runs: count,
    figures,
    violations: violations.map(({ seed, what }) => ({ what, firstSeed: seed, count: 1 })),
  };
}

/** A seed is the number of a bit, counted through all files. */
async function flipped(firstSeed: number, count: number): Promise<ChunkResult> {
  const files = await Promise.all(Object.values(flippables).map((flippable) => flippable()));
  const sizes = files.map(({ fs, file }) => 8 * fs.readFile(file).length);
  const bits = sizes.reduce((sum, size) => sum + size, 0);
  const violations: Violation[] = [];
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    let bit = seed % bits;
    let which = 0;
    for (; bit >= sizes[which]!; which++) bit -= sizes[which]!;
    const { wrong } = await flipBit(files[which]!, bit >> 3, bit & 7);
    const what = `${Object.keys(flippables)[which]}, byte ${bit >> 3}, bit ${bit & 7}: ${wrong.join("; ")}`;
    if (wrong.length > 0) violations.push({ what, firstSeed: seed, count: 1 });
  }
  return { runs: count, figures: {}, violations };
}

async function linearizable(firstSeed: number, count: number): Promise<ChunkResult> {
  const servers = await startFaultyServers();
  const violations: Violation[] = [];
  let unknown = 0;
  try {
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      const work = { handlers: 50, groups: 10, ids: 5, calls: 30, faults: 400, seed };
      const { broken, unknown: failed } = await manyHandlers(servers, work);
      unknown += failed;
      if (broken.length > 0) violations.push({ what: broken.join("\n"), firstSeed: seed, count: 1 });
    }
  } finally {
    await servers.close();
  }
  return { runs: count, figures: { unknown }, violations };
}

const tenant = "soak";
const mebibyte = 1024 * 1024;

/** One payload for each seed, in a store of its own for each chunk. */
async function stored(firstSeed: number, count: number): Promise<ChunkResult> {
  const directory = await mkdtemp(path.join(tmpdir(), "paylode-sizes-"));
  const seeds = Array.from({ length: count }, (_, i) => firstSeed + i);
  const keyOf = (seed: number) => ({ tenant, group: `g${seed % 5}`, id: `${seed}` });
  const violations: Violation[] = [];
  let bytes = 0;
  try {
    const writer = await openDisk({ directory, segmentBytesMax: 16 * mebibyte });
    for (const seed of seeds) {
      const payload = payloadOf(seed);
      bytes += payload.length;
      await writer.append(keyOf(seed), payload);
    }
    await writer.close();
    for (const how of ["restart", "rebuild"] as const) {
      const reader = await openDisk({ directory, rebuild: how === "rebuild" });
      for (const seed of seeds) {
        const got = await reader.get(keyOf(seed));
        const expected = payloadOf(seed);
        if (got !== undefined && Buffer.compare(got, expected) === 0) continue;
        const answer = got === undefined ? "nothing" : `${got.length} other bytes`;
        violations.push({ what: `${expected.length} bytes: ${answer} after the ${how}`, firstSeed: seed, count: 1 });
      }
      await reader.close();
    }
    return { runs: count, figures: { bytes }, violations };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** As many of one size as of any other; a quarter within two bytes of a power of two. */
function payloadOf(seed: number): Uint8Array {
  const draws = new Draws(seed);
  const near = 2 ** draws.below(24) + draws.below(5) - 2;
  const length = draws.below(4) === 0 ? Math.max(0, near) : draws.logUniform(8 * mebibyte);
  return draws.below(2) === 0 ? noise(length, seed) : prose(length, seed);
}
