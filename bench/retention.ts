import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import type { FileSystem, OpenFile } from "../core/adapters/disk/file-system.ts";
import { NodeFileSystem } from "../core/adapters/disk/node-file-system.ts";
import { openDisk } from "../core/entries/disk.ts";
import { agentTraces, type TraceLine } from "./agent-traces.ts";
import { payloadOf } from "./recorded.ts";

/**
 * npm run bench:retention -- --days N --groups N --scenario NAME
 *
 * How often a folder writes a byte until it has expired. Days pass by a clock that is moved by hand: each hour some traces of agents
 * are stored, and the folder is compacted. All sizes are a sixty-fourth of what they are by default, so that a day is a segment; of the
 * ages at which payloads are compressed anew only the first counts. The answer is, for each way in which classes are used, from the
 * eleventh day on: the bytes that callers wrote to segments, what compaction wrote for each of them, and how many segments there
 * were, and bytes in them, at most.
 */
const { values: options } = parseArgs({
  options: {
    days: { type: "string", default: "40" },
    groups: { type: "string", default: "10" },
    scenario: { type: "string" },
  },
});
const days = Number(options.days);
const groupsAnHour = Number(options.groups);
const tenant = "bench";
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const scale = 64;
/** From when on it is counted: the first segments have been written again by then, and the first payloads have expired. */
const countedFromDay = 10;

/** After how many days the n-th payload of the n-th group expires; `undefined` for never. */
type Lives = (group: number, payload: number) => number | undefined;

interface Scenario {
  readonly lives: Lives;
  /** So many groups go on all the time; otherwise each is written once. */
  readonly goingOn?: number;
}

const scenarios: Readonly<Record<string, Lives | Scenario>> = {
  "no expiry": () => undefined,
  "one time for all, 7 days": () => 7,
  "7 days or for ever, by group": (group) => (group % 2 === 0 ? 7 : undefined),
  "7 days or for ever, a quarter of the groups": (group) => (group % 4 === 0 ? 7 : undefined),
  "2, 7, 14 and 28 days, by group": (group) => [2, 7, 14, 28][group % 4],
  "7 days or for ever, in each group": (_group, payload) => (payload % 2 === 0 ? 7 : undefined),
  "no expiry, 40 groups that go on": { lives: () => undefined, goingOn: 40 },
  "one time for all, 7 days, 40 groups that go on": { lives: () => 7, goingOn: 40 },
};

/** The disk, which counts what is written to segments, and waits for nothing. */
class CountedDisk extends NodeFileSystem implements FileSystem {
  written = 0;

  override open(...call: Parameters<NodeFileSystem["open"]>): OpenFile {
    const file = super.open(...call);
    if (!call[0].endsWith(".seg")) return file;
    return {
      size: () => file.size(),
      read: (target, offset) => file.read(target, offset),
      write: (parts, offset) => {
        const bytes = file.write(parts, offset);
        this.written += bytes;
        return bytes;
      },
      sync: async () => {},
      close: () => file.close(),
    };
  }
}

for (const [name, scenario] of Object.entries(scenarios)) {
  if (options.scenario !== undefined && !name.includes(options.scenario)) continue;
  console.log(`${name}: ${await told(typeof scenario === "function" ? { lives: scenario } : scenario)}`);
}

async function told({ lives, goingOn = Infinity }: Scenario): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), "paylode-retention-"));
  const disk = new CountedDisk();
  const clock = { ms: Date.UTC(2026, 0, 1), nowMs: () => clock.ms };
  try {
    const store = await openDisk(
      { directory, segmentBytesMax: 67_108_864 / scale, index: "memory" },
      { fs: disk, clock },
    );
    const rules = {
      smallBytes: 8_388_608 / scale,
      apartBytes: 4_194_304 / scale,
      baseEveryBytes: 1_048_576 / 8,
      tierAgesMs: [dayMs, 10_000 * dayMs] as const,
    };
    const traces = groupsOf(agentTraces({ seed: 1, traces: Infinity }));
    const counted = { callers: 0, compaction: 0, again: 0, pages: 0, bytes: 0, segments: 0 };
    let group = 0;
    for (let hour = 0; hour < days * 24; hour++) {
      const before = disk.written;
      for (let i = 0; i < groupsAnHour; i++, group++) {
        const lines = traces.next().value as readonly TraceLine[];
        const items = lines.map((line, payload) => {
          const after = lives(group, payload);
          const expiresAt = after === undefined ? undefined : clock.ms + after * dayMs;
          return { id: `${group}-${line.id}`, bytes: payloadOf(line), expiresAt };
        });
        await store.appendMany({ tenant, group: `run-${group % goingOn}` }, items);
      }
      const stored = disk.written;
      clock.ms += hourMs;
      const report = await store.compact({ graceMs: 0, rules });
      if (hour < countedFromDay * 24) continue;
      counted.callers += stored - before;
      counted.compaction += disk.written - stored;
      counted.again += report.bytesOut;
      counted.pages += report.pages;
      const files = bytesOn(directory);
      counted.bytes = Math.max(counted.bytes, files.bytes);
      counted.segments = Math.max(counted.segments, files.count);
    }
    await store.close();
    const { callers, compaction, again, pages, bytes, segments } = counted;
    const share = (part: number) => (part / callers).toFixed(2);
    return (
      `callers wrote ${megabytes(callers)}, compaction ${share(compaction)} for each byte of it (payloads ${share(again)}, ` +
      `${pages} pages); at most ${megabytes(bytes)} in ${segments} segments`
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function bytesOn(directory: string): { readonly bytes: number; readonly count: number } {
  const folder = path.join(directory, "segments", tenant);
  const files = readdirSync(folder);
  return { bytes: files.reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0), count: files.length };
}

function* groupsOf(lines: Iterable<TraceLine>): Generator<readonly TraceLine[]> {
  let group: TraceLine[] = [];
  for (const line of lines) {
    if (group.length > 0 && group[0]!.group !== line.group) {
      yield group;
      group = [];
    }
    // Calls repeat the whole history: without them a group is some 20 KB.
    if (JSON.stringify(line.json ?? "").length < 6_000) group.push(line);
  }
}
