import { execFile, execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { openDisk, type Location, type Machine } from "../../core/entries/disk.ts";
import { serveLocal } from "../../functions/local.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";

/** Documents are read by people and go stale in silence. Here what they name is looked up, and what they show is run. */
const root = path.resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root })
  .toString()
  .split("\0")
  .filter((file) => file !== "" && existsSync(path.join(root, file)));
const documents = files.filter((file) => /^(?:docs\/.*|[A-Z]+)\.md$/.test(file));
const sources = files.filter((file) => /^(?:core|functions|cli|infra|test|bench)\/.*\.ts$/.test(file));

describe("the documents", () => {
  test("are there, so that the tests below look at something", () => {
    expect(documents).toEqual(
      expect.arrayContaining(["docs/architecture.md", "docs/format.md", "docs/invariants.md", "CONTRIBUTING.md"]),
    );
    expect(sources.length).toBeGreaterThan(50);
  });

  test("link to files and headings that exist", () => {
    const broken = documents.flatMap((document) =>
      linksOf(read(document))
        .filter((link) => !leadsSomewhere(document, link))
        .map((link) => `${document}: ${link}`),
    );

    expect(broken).toEqual([]);
  });

  test("are there where the code cites them", () => {
    const cited = sources.flatMap((file) =>
      [...read(file).matchAll(/\bdocs\/(?:decisions\/\d{4}|[a-z-]+\.(?:md|json|ndjson))/g)].map(([name]) => ({
        file,
        name,
      })),
    );

    expect(cited.length).toBeGreaterThan(5);
    const missing = cited.filter(({ name }) => !files.some((file) => file.startsWith(name)));
    expect(missing).toEqual([]);
  });
});

describe("docs/format.md", () => {
  const format = () => read("docs/format.md");

  test("has the sections that the code cites, and the code cites each format it has", () => {
    const sections = new Set([...format().matchAll(/^#{2,3} §([\d.]+) /gm)].map(([, number = ""]) => number));
    const cited = sources.flatMap((file) =>
      [...read(file).matchAll(/docs\/format\.md[\s*]+§(\d+(?:\.\d+)?)/g)].map(([, section = ""]) => ({
        file,
        section,
      })),
    );

    expect(cited.filter(({ section }) => !sections.has(section))).toEqual([]);
    const citedSections = new Set(cited.map(({ section }) => section));
    expect(["1", "2", "3", "4", "5", "6", "7", "8"].filter((section) => !citedSections.has(section))).toEqual([]);
  });

  test("shows a segment as today's code writes it, byte for byte", async () => {
    const { bytes, location } = await exampleSegment();

    const [, shown] = /^```hexdump\n(.*?)\n^```$/ms.exec(format()) ?? [];
    expect(shown).toBe(hexdump(bytes));
    const { segment, offset, stored } = location;
    expect(format()).toContain(`segment: "${segment}", offset: ${offset}, stored: ${stored}`);
  });
});

describe("docs/invariants.md", () => {
  const sections = read("docs/invariants.md").split(/^## /m).slice(1);
  const numbered = sections.filter((section) => /^\d+\. /.test(section));

  test("numbers the invariants from 1 to 11", () => {
    expect(numbered.map((section) => Number.parseInt(section, 10))).toEqual(
      Array.from({ length: 11 }, (_, i) => i + 1),
    );
  });

  test("names a test for each, or says that it is not yet enforced", () => {
    const silent = numbered.filter(
      (section) => testsIn(section).length === 0 && !section.includes("Not yet enforced: "),
    );

    expect(silent).toEqual([]);
  });

  test("names tests as their sources spell them", () => {
    const named = sections.flatMap(testsIn);
    const items = sections.flatMap((section) => section.match(/^- \[test\/.*$/gm) ?? []);

    expect(named).toHaveLength(items.length);
    const missing = named.filter(({ file, name }) => !sources.includes(file) || !read(file).includes(name));
    expect(missing).toEqual([]);
  });
});

describe("README.md", () => {
  const examples = [...read("README.md").matchAll(/^```ts\n(.*?)^```$/gms)].map(([, source = ""]) => source);

  test.each(examples.map((source, index) => [index + 1, source] as const))(
    "has an example %i that runs",
    async (_number, source) => {
      const folder = await mkdtemp(path.join(tmpdir(), "paylode-docs-"));
      const server = await serveLocal({ directory: path.join(folder, "served"), port: 0 });
      try {
        const file = path.join(folder, "example.mts");
        const here = source.replaceAll("http://localhost:8787", server.url);
        await writeFile(
          file,
          here.replace(/(?<=\bfrom ")paylode(?:\/[a-z]+)?(?=")/g, (entry) => entries[entry] ?? entry),
        );

        await expect(run(process.execPath, [file], { cwd: folder, timeout: 30_000 })).resolves.toMatchObject({
          stderr: "",
        });
      } finally {
        await server.close();
        await rm(folder, { recursive: true });
      }
    },
  );
});

/** The package's exports, as sources: examples run unbuilt. */
const entries: Readonly<Record<string, string>> = {
  paylode: entry("core/entries/memory.ts"),
  "paylode/disk": entry("core/entries/disk.ts"),
  "paylode/client": entry("core/entries/client.ts"),
  "paylode/conformance": entry("test/conformance/index.ts"),
};

function entry(file: string): string {
  return pathToFileURL(path.join(root, file)).href;
}

function read(file: string): string {
  const whole = path.join(root, file);
  return existsSync(whole) ? readFileSync(whole, "utf8") : "";
}

function linksOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```.*?^```$/gms, "").replaceAll(/`[^`\n]*`(?!\])/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link).filter((link) => !/^[a-z]+:/.test(link));
}

function leadsSomewhere(document: string, link: string): boolean {
  const [target = "", heading] = link.split("#");
  const file = target === "" ? document : path.posix.join(path.posix.dirname(document), target);
  if (!existsSync(path.join(root, file))) return false;
  return heading === undefined || headingsOf(read(file)).includes(heading);
}

/** Headings as anchors: lower case, without punctuation, words joined by hyphens. */
function headingsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Items of the form `- [file](../file): "name"`. */
function testsIn(section: string): { file: string; name: string }[] {
  return [...section.matchAll(/^- \[(test\/[^\]]+)\]\(\.\.\/\1\):\s+"(.+)"$/gm)].map(([, file = "", name = ""]) => ({
    file,
    name,
  }));
}

/** One payload in a segment that is sealed at once, on a machine whose clock stands and whose chance counts. */
async function exampleSegment(): Promise<{ bytes: Uint8Array; location: Location }> {
  const fs = new PowerLossFileSystem({ random: () => 0 });
  const machine: Machine = {
    fs,
    pid: 1,
    clock: { nowMs: () => 1_750_000_000_000 },
    random: { bytes: (length) => Uint8Array.from({ length }, (_, i) => (16 * length + i) & 0xff) },
  };
  const store = await openDisk({ directory: "/example", segmentBytesMax: 1 }, machine);
  const bytes = new TextEncoder().encode("Where is my order?");
  const key = { tenant: "acme", group: "run-1", id: "prompt" };
  const location = await store.append(key, bytes, { contentType: "text/plain" });
  await store.close();
  return { bytes: fs.readFile(`/example/segments/acme/${location.segment}.seg`), location };
}

function hexdump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCodePoint(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${digits.padEnd(47)}  |${text}|`);
  }
  return lines.join("\n");
}
