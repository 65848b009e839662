import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { serveLocal } from "../../functions/local.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { run } from "../support/command-line.ts";

const program = path.resolve(import.meta.dirname, "../../cli/main.ts");
const tenant = "default";
/** Of util-linux: it gives a command a terminal. Elsewhere it takes other options. */
const hasScript = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;

let directory: string;
beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), "paylode-progress-"));
  const store = await openDisk({ directory });
  for (let i = 0; i < 60; i++) await store.append({ tenant, group: `g${i % 20}`, id: `${i}` }, noise(2000, i));
  for (let i = 0; i < 40; i++) await store.delete({ tenant, group: `g${i % 20}`, id: `${i}` });
  await store.close();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** What a command writes to a terminal. */
async function onTerminal(command: string): Promise<string> {
  const line = `'${process.execPath}' '${program}' --dir '${directory}' ${command}`;
  const { stdout } = await promisify(execFile)("script", ["-qec", line, "/dev/null"], {
    env: { ...process.env, TERM: "xterm", COLUMNS: "120" },
  });
  return stdout;
}

// A machine that proves releases must not pass them over.
describe.skipIf(!hasScript && process.env["CI"] === undefined)("on a terminal a bar shows how far", () => {
  test.each([
    ["compact", /compact .* 0 % of 1 segments/, /freed/],
    ["verify", /verify .* 100 % of 1 segments/, /no faults/],
    ["repair", /verify .* 100 % of 1 segments/, /nothing to repair/],
    ["rebuild", /rebuild .* 0 % of 1 segments/, /rebuilt from 1 segment/],
    ["export > /dev/null", /export .* 0 % of 20 payloads/, /export .* 100 % of 20 payloads/],
  ])("%s is, from its beginning", async (command, bar, end) => {
    const told = await onTerminal(command);

    expect(told).toMatch(bar);
    expect(told).toMatch(end);
  });

  test("compact is in the middle of a segment, and it comes to an end", async () => {
    const told = await onTerminal("compact --grace 0");

    const shares = [...told.matchAll(/ (\d+) % of 1 segments/g)].map(([, percent]) => Number(percent));
    expect(shares[0]).toBe(0);
    expect(shares.at(-1)).toBe(100);
    expect(told).toMatch(/freed 1 segment/);
  });

  test("compact beside a server is, once it has told something", async () => {
    const server = await serveLocal({ directory, port: 0 });
    try {
      const told = await onTerminal("compact");

      expect(told).toMatch(/compact .* 100 % of 1 segments/);
      expect(told).toMatch(/compacted 1 segment/);
    } finally {
      await server.close();
    }
  });

  test("compact leaves the terminal its cursor when Ctrl-C ends it, and the folder is whole", async () => {
    const store = await openDisk({ directory });
    const group = (g: number) => ({ tenant, group: `long-${g}` });
    for (let g = 0; g < 100; g++) {
      const items = Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, bytes: prose(3000, 100 * g + i) }));
      await store.appendMany(group(g), items);
    }
    for (let g = 0; g < 60; g++) await store.deleteGroup(group(g));
    await store.close();

    const line = `exec '${process.execPath}' '${program}' --dir '${directory}' compact --grace 0`;
    const terminal = spawn("script", ["-qec", line, "/dev/null"], {
      env: { ...process.env, TERM: "xterm", COLUMNS: "120" },
    });
    let told = "";
    terminal.stdout.on("data", (bytes: Buffer) => {
      const wasHidden = told.includes("?25l");
      told += bytes.toString();
      if (!wasHidden && told.includes("?25l")) terminal.stdin.write("\u0003");
    });
    const [code] = (await once(terminal, "exit")) as [number | null];

    // 128, and the number of SIGINT: as without a bar.
    expect(code).toBe(130);
    expect(told).not.toContain("freed");
    expect(told.lastIndexOf("?25h")).toBeGreaterThan(told.lastIndexOf("?25l"));
    const again = await openDisk({ directory });
    expect((await again.verify()).faults).toEqual([]);
    expect(await again.get({ ...group(99), id: "7" })).toEqual(prose(3000, 9907));
    await again.close();
  });

  test("export is not where the lines themselves come, nor any command in a pipe", async () => {
    expect(await onTerminal("export")).not.toContain("% of");
    for (const command of ["export", "rebuild", "compact"]) {
      const { stderr } = await run(["--dir", directory, command]);
      expect(stderr).toBe("");
    }
  });
});
