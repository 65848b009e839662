import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";

/**
 * What neither the formatter nor the linter looks at: the tree as a whole.
 *
 * Each test lists what it found as `file:line: text`, so that a failure reads like a compiler's. The words that are
 * searched for are put together here, or this file would find itself.
 */
const root = path.resolve(import.meta.dirname, "../..");

interface TextFile {
  readonly file: string;
  readonly lines: readonly string[];
}

/** Everything that is, or is about to be, committed. */
const files: readonly string[] = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root })
  .toString()
  .split("\0")
  .filter((file) => file !== "" && existsSync(path.join(root, file)));

const texts: readonly TextFile[] = files.flatMap((file) => {
  const bytes = readFileSync(path.join(root, file));
  return bytes.includes(0) ? [] : [{ file, lines: bytes.toString().split("\n") }];
});

const sources = texts.filter(({ file }) => file.endsWith(".ts"));
const writtenByHand = texts.filter(({ file }) => file !== "package-lock.json" && file !== "LICENSE");

describe("the tree", () => {
  test("is not empty, so that the tests below look at something", () => {
    expect(files).toContain("test/house/tidy.test.ts");
    expect(sources.length).toBeGreaterThan(10);
  });

  test("leaves no work marked for later", () => {
    const marks = new RegExp(`\\b(?:${["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].join("|")})\\b`);

    expect(find(writtenByHand, (line) => marks.test(line))).toEqual([]);
  });

  test("focuses on no test", () => {
    expect(find(sources, (line) => /\b(?:test|it|describe|suite)(?:\.\w+)*\.only\b/.test(line))).toEqual([]);
  });

  test("gives the reason for each test that is skipped, in a comment above it or as the argument", () => {
    const skipsTest = /\b(?:test|it|describe|suite)(?:\.\w+)*\.(?:skip|skipIf|runIf|todo|fails)\b/;
    const skipsItself = /\b(?:context|ctx|task)\.skip\(\s*\)|^\s*skip\(\s*\)/;

    const withoutReason = find(sources, (line, before) => {
      if (skipsItself.test(line)) return true;
      return skipsTest.test(line) && !/\/\/|\*\//.test(line) && !/^\s*(?:\/\/|\*|\/\*)/.test(before);
    });

    expect(withoutReason).toEqual([]);
  });

  test("has no source line over 200 characters", () => {
    expect(find(sources, (line) => line.length > 200)).toEqual([]);
  });

  test("keeps in test/ only tests, exported suites and what supports them", () => {
    const inTest = files.filter((file) => /^test\/.*\.[cm]?[jt]s$/.test(file));

    const strangers = inTest.filter(
      (file) => !/^test\/(?:conformance|support)\//.test(file) && !file.endsWith(".test.ts"),
    );

    expect(strangers).toEqual([]);
  });

  test("names no directory of the machine it was written on", () => {
    const everywhere = new Set(["/", "/home", "/mnt", "/opt", "/srv", "/usr/src", "/var", path.resolve(tmpdir())]);
    const here = [root, path.dirname(root), homedir()].filter((directory) => !everywhere.has(directory));
    const named = new RegExp(
      `(?<![\\w.~-])(?:${here.map((directory) => RegExp.escape(directory)).join("|")})(?![\\w.-])`,
    );
    const personal = /(?<![\w.~-])\/(?:home|Users)\/[a-z]\w*\//;

    expect(find(writtenByHand, (line) => named.test(line) || personal.test(line))).toEqual([]);
  });

  test("names no host that packages come from", () => {
    const registry =
      /\bregistry\.[a-z-]+\.[a-z]{2,}\b|\b(?:deb|security|snapshot)\.[a-z-]+\.org\b|\bmirrors?\.[a-z-]+\.[a-z]{2,}\b/i;

    expect(find(texts, (line) => registry.test(line))).toEqual([]);
  });

  test("locks packages by integrity, without the address of a download", () => {
    const lock = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")) as {
      packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }>;
    };
    const installed = Object.entries(lock.packages).filter(([directory]) => directory !== "");

    expect(installed.filter(([, entry]) => entry.resolved !== undefined)).toEqual([]);
    expect(installed.filter(([, entry]) => entry.integrity === undefined)).toEqual([]);
  });

  test("names its files in kebab-case", () => {
    const conventional = new Set(["CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "README.md", "SECURITY.md"]);
    const kebab = /^\.?[a-z0-9]+(?:[-.][a-z0-9]+)*$/;

    const others = files.filter((file) => file.split("/").some((name) => !kebab.test(name) && !conventional.has(name)));

    expect(others).toEqual([]);
  });

  test("imports every source file of core somewhere", () => {
    const reference = /(?:\bfrom|\bimport|\bimport\(|\bnew URL\()\s*"(\.{1,2}\/[^"]+)"/g;
    const imported = new Set(
      sources.flatMap(({ file, lines }) =>
        [...lines.join("\n").matchAll(reference)]
          .map(([, specifier = ""]) => path.posix.join(path.posix.dirname(file), specifier))
          .filter((target) => target !== file),
      ),
    );
    const inCore = files.filter((file) => file.startsWith("core/") && file.endsWith(".ts"));

    const orphans = inCore.filter(
      (file) => !imported.has(file) && !file.startsWith("core/entries/") && !file.endsWith(".d.ts"),
    );

    expect(orphans).toEqual([]);
  });
});

function find(among: readonly TextFile[], matches: (line: string, before: string) => boolean): readonly string[] {
  return among.flatMap(({ file, lines }) =>
    lines.flatMap((line, index) =>
      matches(line, lines[index - 1] ?? "") ? [`${file}:${index + 1}: ${line.trim().slice(0, 160)}`] : [],
    ),
  );
}
