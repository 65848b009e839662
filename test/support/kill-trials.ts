import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { compactorIndex, payloadOf, tenant } from "./kill-payloads.ts";
import { restingBlocksOf } from "./resting-blocks.ts";
import { seededRandom } from "./seeded-random.ts";

export interface KillReport {
  readonly trials: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly wrong: number;
  /** Trials in which opening found frames beyond the last mark. */
  readonly withTail: number;
  readonly damage: number;
}

/** Starts a writing process on one folder again and again and kills it at a random moment; then compares every acknowledged payload. */
export function runKillTrials(trials: number, seed: number): Promise<KillReport> {
  return runTrials(trials, seed, async (directory, trial, moment) => {
    const writer = await start("kill-writer.ts", directory, trial);
    await wait(moment * 120);
    // On a busy machine it may not have come to write in that time.
    while (writer.output().split("\n").length < moment * 20) await wait(1);
    return killed(writer);
  });
}

/** The same in durability `fast`, of which only what was flushed is told. */
export function runFlushKillTrials(trials: number, seed: number): Promise<KillReport> {
  return runTrials(trials, seed, async (directory, trial, moment) => {
    const writer = await start("kill-flusher.ts", directory, trial);
    await wait(moment * 120);
    while (writer.output().split("\n").length < 2 + moment * 100) await wait(1);
    return killed(writer);
  });
}

/** The same with a server: four callers in its process and four clients over HTTP write until it is killed. */
export function runServerKillTrials(trials: number, seed: number): Promise<KillReport> {
  return runTrials(trials, seed, async (directory, trial, moment) => {
    const server = await start("kill-server.ts", directory, trial);
    const stored: string[] = [];
    let alive = true;
    const clients = [0, 1, 2, 3].map((client) =>
      putWhile(() => alive, server.firstLine, `trial-${trial}-client-${client}`, stored),
    );
    await wait(20 + moment * 400);
    alive = false;
    const lines = await killed(server);
    await Promise.all(clients);
    return [...lines, ...stored];
  });
}

export interface CompactionKillReport {
  readonly trials: number;
  readonly stored: number;
  readonly deleted: number;
  readonly lost: number;
  readonly wrong: number;
  readonly resurrected: number;
  readonly faults: number;
  /** Blocks that rest on a base, in the end. */
  readonly resting: number;
}

/** Kills a process that writes, deletes, reads and compacts, again and again on one folder; then compares everything. */
export async function runCompactionKillTrials(
  trials: number,
  seed: number,
  trialMs: number,
): Promise<CompactionKillReport> {
  const directory = await mkdtemp(join(tmpdir(), "paylode-kill-"));
  const random = seededRandom(seed);
  const stored = new Map<string, "stored" | "unknown" | "deleted">();
  let wrong = 0;
  try {
    for (let trial = 0; trial < trials; trial++) {
      const process = await start("kill-compactor.ts", directory, trial);
      await wait((0.2 + random()) * trialMs);
      for (const line of await killed(process)) {
        const [what, ...key] = line.split(" ");
        if (what === "!") wrong += 1;
        else stored.set(key.join(" "), what === "+" ? "stored" : what === "?" ? "unknown" : "deleted");
      }
    }
    const store = await openDisk({ directory });
    const states = [...stored.values()];
    const deleted = states.filter((state) => state === "deleted").length;
    const report = { trials, stored: states.length, deleted, lost: 0, wrong, resurrected: 0, faults: 0, resting: 0 };
    for (const [key, state] of stored) {
      const [group = "", n = ""] = key.split(" ");
      const got = await store.get({ tenant, group, id: n });
      if (got === undefined && state === "stored") report.lost += 1;
      if (got && state === "deleted") report.resurrected += 1;
      if (got && Buffer.compare(got, payloadOf(group, Number(n))) !== 0) report.wrong += 1;
    }
    report.resting = (await restingBlocksOf(new NodeFileSystem(), directory)).length;
    report.faults = (await store.verify()).faults.length + store.recovery.damage.length;
    await store.close();
    return report;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export interface ReaderReport {
  readonly reads: number;
  readonly finds: number;
  /** Payloads that were stored and that a read or a find did not answer. */
  lost: number;
  wrong: number;
  resurrected: number;
}

/** Reads what a process beside this one acknowledges, while that writes, deletes and compacts without a pause. */
export async function readBesideCompaction(ms: number, kind: "in-arrays" | "on-disk"): Promise<ReaderReport> {
  const directory = await mkdtemp(join(tmpdir(), "paylode-read-"));
  const victim = await start("kill-compactor.ts", directory, 0, kind);
  const random = seededRandom(ms);
  const report = { reads: 0, finds: 0, lost: 0, wrong: 0, resurrected: 0 };
  const states = new Map<string, string>();
  let taken = 0;
  const takeIn = () => {
    const output = victim.output();
    const end = output.lastIndexOf("\n") + 1;
    for (const line of output.slice(taken, end).split("\n")) {
      const [what = "", ...key] = line.split(" ");
      if (what === "!") report.wrong += 1;
      else if (key.length === 2) states.set(key.join(" "), what);
    }
    taken = end;
  };
  try {
    const reader = await openDisk(
      { directory, readOnly: true },
      kind === "on-disk" ? { indexBounds: compactorIndex } : {},
    );
    for (const until = performance.now() + ms; performance.now() < until;) {
      // Lets its lines come in.
      await wait(1);
      takeIn();
      const names = [...states.keys()];
      for (let i = 0; i < 40 && names.length > 0; i++) {
        const name = names[Math.floor(random() * names.length)]!;
        const [group = "", n = ""] = name.split(" ");
        const before = states.get(name);
        const got = await reader.get({ tenant, group, id: n });
        report.reads += 1;
        if (got && Buffer.compare(got, payloadOf(group, Number(n))) !== 0) report.wrong += 1;
        if (got && before === "-") report.resurrected += 1;
        if (got || before !== "+") continue;
        // What came through the pipe meanwhile may say that it is about to be deleted.
        await wait(20);
        takeIn();
        if (states.get(name) === "+") report.lost += 1;
      }
      const kept = [...states.keys()].filter((name) => Number(name.split(" ")[1]) % 3 === 0);
      const found = new Set<string>();
      for await (const { group, id } of reader.find({ tenant, where: { third: "0" } })) found.add(`${group} ${id}`);
      report.finds += 1;
      for (const name of kept) if (!found.has(name)) report.lost += 1;
    }
    await reader.close();
    return report;
  } finally {
    await killed(victim);
    await rm(directory, { recursive: true, force: true });
  }
}

/** @param run  lets a process write, kills it at a moment, 0 ≤ x < 1 of its time, and tells what was acknowledged: `GROUP N` each */
async function runTrials(
  trials: number,
  seed: number,
  run: (directory: string, trial: number, moment: number) => Promise<string[]>,
): Promise<KillReport> {
  const directory = await mkdtemp(join(tmpdir(), "paylode-kill-"));
  const random = seededRandom(seed);
  const report = { trials, acknowledged: 0, lost: 0, wrong: 0, withTail: 0, damage: 0 };
  try {
    const all: string[] = [];
    for (let trial = 0; trial < trials; trial++) {
      const lines = await run(directory, trial, random());
      all.push(...lines);
      const store = await openDisk({ directory });
      if (store.recovery.tailFramesKept > 0 || store.recovery.tornBytes > 0) report.withTail += 1;
      report.damage += store.recovery.damage.length;
      // The last trial is followed by a look at everything that was ever acknowledged.
      for (const line of trial === trials - 1 ? all : lines) {
        const [group = "", n = ""] = line.split(" ");
        const got = await store.get({ tenant, group, id: n });
        if (got === undefined) report.lost += 1;
        else if (Buffer.compare(got, payloadOf(group, Number(n))) !== 0) report.wrong += 1;
      }
      await store.close();
    }
    report.acknowledged = all.length;
    return report;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Victim {
  readonly child: ChildProcess;
  /** What it said when it was ready. */
  readonly firstLine: string;
  readonly output: () => string;
}

async function start(file: string, directory: string, trial: number, ...more: string[]): Promise<Victim> {
  const script = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [script, directory, `${trial}`, ...more], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8");
  const firstLine = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (text: string) => {
      output += text;
      const end = output.indexOf("\n");
      if (end >= 0) resolve(output.slice(0, end));
    });
    child.once("exit", (code) => reject(new Error(`${file} ended by itself, with ${code}`)));
  });
  return { child, firstLine, output: () => output };
}

async function killed({ child, output }: Victim): Promise<string[]> {
  child.kill("SIGKILL");
  await once(child, "close");
  // A line that the kill cut short was acknowledged as well, but it cannot be told which it is.
  return output().split("\n").slice(1, -1);
}

/** Puts one payload after the other until the server is killed. That it does not answer before is an error. */
async function putWhile(isAlive: () => boolean, url: string, group: string, stored: string[]): Promise<void> {
  for (let n = 0; ; n += 1) {
    const target = `${url}/v1/${tenant}/groups/${group}/payloads/${n}`;
    let response: Response;
    try {
      response = await fetch(target, { method: "PUT", body: payloadOf(group, n).slice() });
    } catch (error) {
      if (isAlive()) throw error;
      return;
    }
    if (response.status !== 200) throw new Error(`PUT ${target}: ${response.status} ${await response.text()}`);
    // The status line comes after the commit: whatever becomes of the body, this one is stored.
    stored.push(`${group} ${n}`);
    await response.arrayBuffer().catch(() => {});
  }
}
