import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";

/**
 * The borders of architecture.md are kept by the compiler and the linter. A glob that no longer matches, or an option
 * that a new version has renamed, would switch them off without a sound: here small offenders show that they still bite.
 *
 * The offenders live in a copy of the house (configuration and ambient names, no sources), so that no run can leave
 * anything in the tree. Both tools run once over all of them, and once over files that keep to the rules.
 */
const root = path.resolve(import.meta.dirname, "../..");

interface Offender {
  readonly file: string;
  readonly source: string;
  /** What the linter must say: the rule, and a part of the message that tells the author what to do. */
  readonly lint?: readonly [rule: string, message: string];
  /** Diagnostic codes of the compiler, of which one must appear. */
  readonly compiler?: readonly string[];
}

const cannotFindModule = ["TS2307", "TS2591"];
const cannotFindName = ["TS2304", "TS2552", "TS2580", "TS2584", "TS2591"];

const offenders: Record<string, Offender> = {
  "an AWS client in core": {
    file: "core/segment/aws-import.ts",
    source: `import { S3Client } from "@aws-sdk/client-s3";\nexport const client: unknown = S3Client;\n`,
    lint: ["no-restricted-imports", "use the SegmentStore port or the OffsetIndex port instead"],
  },
  "a type of an AWS client in core": {
    file: "core/ports/aws-type.ts",
    source: `import type { S3Client } from "@aws-sdk/client-s3";\nexport type Client = S3Client;\n`,
    lint: ["no-restricted-imports", "use the SegmentStore port or the OffsetIndex port instead"],
  },
  "node:fs in core": {
    file: "core/segment/fs-import.ts",
    source: `import { readFileSync } from "node:fs";\nexport const read: unknown = readFileSync;\n`,
    lint: ["no-restricted-imports", "use the SegmentStore port instead"],
    compiler: cannotFindModule,
  },
  "fs/promises in core, by its old name": {
    file: "core/page/fs-promises-import.ts",
    source: `import { readFile } from "fs/promises";\nexport const read: unknown = readFile;\n`,
    lint: ["no-restricted-imports", "use the SegmentStore port instead"],
    compiler: cannotFindModule,
  },
  "node:zlib in core": {
    file: "core/segment/zlib-import.ts",
    source: `import { crc32 } from "node:zlib";\nexport const checksum: unknown = crc32;\n`,
    lint: ["no-restricted-imports", "use the Codec port instead"],
    compiler: cannotFindModule,
  },
  "a package in core": {
    file: "core/package-import.ts",
    source: `import { string } from "valibot";\nexport const schema: unknown = string();\n`,
    lint: ["no-restricted-imports", "use a port instead"],
  },
  "hono in core": {
    file: "core/hono-import.ts",
    source: `import { Hono } from "hono";\nexport const app: unknown = new Hono();\n`,
    lint: ["no-restricted-imports", "routes live in functions/"],
  },
  "Date.now() in core": {
    file: "core/date-now.ts",
    source: `export const nowMs: number = Date.now();\n`,
    lint: ["no-restricted-properties", "use the Clock port instead"],
  },
  "new Date() in core": {
    file: "core/page/new-date.ts",
    source: `export const now: unknown = new Date();\n`,
    lint: ["no-restricted-globals", "use the Clock port instead"],
  },
  "Date by way of globalThis in core": {
    file: "core/global-this.ts",
    source: `export const nowMs: number = globalThis.Date.now();\n`,
    lint: ["no-restricted-globals", "use the port that stands for it instead"],
  },
  "Math.random() in core": {
    file: "core/math-random.ts",
    source: `export const chance: number = Math.random();\n`,
    lint: ["no-restricted-properties", "use the Random port instead"],
  },
  "setTimeout in core": {
    file: "core/compaction/set-timeout.ts",
    source: `export function later(run: () => void): void {\n  setTimeout(run, 1);\n}\n`,
    lint: ["no-restricted-globals", "use the Clock port instead"],
    compiler: cannotFindName,
  },
  "process.env in core": {
    file: "core/process-env.ts",
    source: `export const home: unknown = process.env["HOME"];\n`,
    lint: ["no-restricted-globals", "take the value as an argument instead"],
    compiler: cannotFindName,
  },
  "console in core": {
    file: "core/console.ts",
    source: `export function shout(): void {\n  console.log("!");\n}\n`,
    lint: ["no-restricted-globals", "use the Telemetry port instead"],
    compiler: cannotFindName,
  },
  "Buffer in core": {
    file: "core/buffer.ts",
    source: `export const bytes: unknown = Buffer.alloc(1);\n`,
    lint: ["no-restricted-globals", "use Uint8Array"],
    compiler: cannotFindName,
  },
  "the platform's crypto in core": {
    file: "core/crypto.ts",
    source: `export const bytes: unknown = crypto.getRandomValues(new Uint8Array(1));\n`,
    lint: ["no-restricted-globals", "use the Random port"],
    compiler: cannotFindName,
  },
  "fetch in core": {
    file: "core/fetch.ts",
    source: `export const answer: unknown = fetch("/");\n`,
    lint: ["no-restricted-globals", "use the SegmentStore port instead"],
    compiler: cannotFindName,
  },
  "an adapter in core": {
    file: "core/segment/adapter-import.ts",
    source: `import { value } from "../adapters/disk/clean-disk.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "adapters import core, never the other way"],
  },
  "an entry in core": {
    file: "core/entry-import.ts",
    source: `import { value } from "./entries/clean-entry.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "adapters import core, never the other way"],
  },
  "a face in core": {
    file: "core/function-import.ts",
    source: `import { value } from "../functions/clean-function.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "what runs it imports core"],
  },
  "node:fs in the memory adapter": {
    file: "core/adapters/memory/fs-import.ts",
    source: `import { readFileSync } from "node:fs";\nexport const read: unknown = readFileSync;\n`,
    lint: ["no-restricted-imports", "as pure as core"],
    compiler: cannotFindModule,
  },
  "the wall clock in the memory adapter": {
    file: "core/adapters/memory/new-date.ts",
    source: `export const now: unknown = new Date();\n`,
    lint: ["no-restricted-globals", "use the Clock port instead"],
  },
  "one adapter in another": {
    file: "core/adapters/disk/adapter-import.ts",
    source: `import { value } from "../node/clean-node.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "adapters never import one another"],
  },
  "one adapter in another, from deeper down": {
    file: "core/adapters/disk/deep/adapter-import.ts",
    source: `import { value } from "../../node/clean-node.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "adapters never import one another"],
  },
  "one adapter in the memory adapter": {
    file: "core/adapters/memory/adapter-import.ts",
    source: `import { value } from "../node/clean-node.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "adapters never import one another"],
  },
  "node:crypto in the client": {
    file: "core/client/crypto-import.ts",
    source: `import { randomBytes } from "node:crypto";\nexport const bytes: unknown = randomBytes(1);\n`,
    lint: ["no-restricted-imports", "the client imports no package and no part of Node"],
    compiler: cannotFindModule,
  },
  "a package in the client": {
    file: "core/client/package-import.ts",
    source: `import { decompress } from "fzstd";\nexport const decode: unknown = decompress;\n`,
    lint: ["no-restricted-imports", "the client imports no package"],
  },
  "an adapter in the client": {
    file: "core/client/adapter-import.ts",
    source: `import { value } from "../adapters/disk/clean-disk.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "the entry puts them together"],
  },
  "Buffer in the client": {
    file: "core/client/buffer.ts",
    source: `export const bytes: unknown = Buffer.alloc(1);\n`,
    compiler: cannotFindName,
  },
  "process in the client": {
    file: "core/client/process.ts",
    source: `export function atExit(run: () => void): void {\n  process.once("beforeExit", run);\n}\n`,
    compiler: cannotFindName,
  },
  "what is younger than Node 20 in the client": {
    file: "core/client/with-resolvers.ts",
    source: `export const late: unknown = Promise.withResolvers<void>();\n`,
    compiler: ["TS2339", "TS2550"],
  },
  "fetch in the client": {
    file: "core/client/fetch.ts",
    source: `export const answer: unknown = fetch("/");\n`,
    lint: ["no-restricted-globals", "use ClientPlatform instead"],
  },
  "the platform's clock in the client": {
    file: "core/client/date-now.ts",
    source: `export const nowMs: number = Date.now();\n`,
    lint: ["no-restricted-properties", "use ClientPlatform instead"],
  },
  "a face in an adapter": {
    file: "core/adapters/node/function-import.ts",
    source: `import { value } from "../../../functions/clean-function.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "what runs it imports core"],
  },
  "a function in the infrastructure": {
    file: "infra/function-import.ts",
    source: `import { value } from "../functions/clean-function.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "it names handlers by their path"],
  },
  "the command line in a function": {
    file: "functions/cli-import.ts",
    source: `import { value } from "../cli/clean-cli.ts";\nexport const copy: string = value;\n`,
    lint: ["no-restricted-imports", "functions know core and its adapters only"],
  },
  "a runner in a conformance suite": {
    file: "test/conformance/runner-import.ts",
    source: `import { test } from "vitest";\ntest("x", () => {});\n`,
    lint: ["no-restricted-imports", "take test as an argument"],
  },
  "a promise that nobody awaits, in core": {
    file: "core/floating-promise.ts",
    source: `export function start(run: () => Promise<void>): void {\n  run();\n}\n`,
    lint: ["no-floating-promises", ""],
  },
  "a promise that nobody awaits, in an adapter": {
    file: "core/adapters/disk/floating-promise.ts",
    source: `import { unlink } from "node:fs/promises";\nexport function start(): void {\n  unlink("x");\n}\n`,
    lint: ["no-floating-promises", ""],
  },
  "a promise that nobody awaits, in a function": {
    file: "functions/floating-promise.ts",
    source: `import { unlink } from "node:fs/promises";\nexport function start(): void {\n  unlink("x");\n}\n`,
    lint: ["no-floating-promises", ""],
  },
};

const law: Record<string, string> = {
  "core/clean-rule.ts": `import { size } from "./page/clean-page.ts";
export function double(bytes: Uint8Array): number {
  return 2 * size(bytes) + Math.max(0, bytes.length) + new TextEncoder().encode("x").length;
}
`,
  "core/page/clean-page.ts": `export function size(bytes: Uint8Array): number {\n  return bytes.byteLength;\n}\n`,
  "core/adapters/memory/clean-memory.ts": `import { double } from "../../clean-rule.ts";
export const value: number = double(new Uint8Array(1));
`,
  "core/adapters/node/clean-node.ts": `import { hostname } from "node:os";\nexport const value: string = hostname();\n`,
  "core/adapters/disk/clean-disk.ts": `import { readFileSync } from "node:fs";
import { double } from "../../clean-rule.ts";
export const value: string = String(double(readFileSync("x")) + Date.now());
`,
  "core/adapters/disk/deep/clean-deep.ts": `import { value } from "../clean-disk.ts";\nexport const copy: string = value;\n`,
  "core/entries/clean-entry.ts": `import { value as disk } from "../adapters/disk/clean-disk.ts";
import { value as node } from "../adapters/node/clean-node.ts";
export const value: string = disk + node;
`,
  "core/client/clean-client.ts": `import { double } from "../clean-rule.ts";
export function sizeOf(response: Response): number {
  return double(new Uint8Array(Number(response.headers.get("content-length"))));
}
`,
  "core/entries/client.ts": `export { sizeOf } from "../client/clean-client.ts";\n`,
  "functions/clean-function.ts": `import { Hono } from "hono";
import { value as entry } from "../core/entries/clean-entry.ts";
export const value: string = entry;
export const app: Hono = new Hono();
`,
  "cli/clean-cli.ts": `import { value as face } from "../functions/clean-function.ts";
export const value: string = face + (process.env["HOME"] ?? "");
`,
};

describe("borders", () => {
  let lawful: Findings;
  let offending: Findings;

  beforeAll(async () => {
    const sources = Object.values(offenders).map(({ file, source }) => [file, source] as const);
    lawful = await examine(Object.entries(law));
    // The offenders import lawful files, some of them from where they must not.
    offending = await examine([...Object.entries(law), ...sources]);
  });

  test.each(Object.entries(offenders))("%s is refused", (_name, { file, lint: expected, compiler }) => {
    if (expected !== undefined) {
      const [rule, message] = expected;
      const said = offending.linted.filter(
        (finding) => finding.filename === file && finding.code.includes(`(${rule})`),
      );
      expect(said.map((finding) => `${finding.message} ${finding.help ?? ""}`).join("\n")).toContain(message);
      expect(said).not.toEqual([]);
    }
    if (compiler !== undefined) {
      const codes = offending.compiled.filter((error) => error.file === file).map((error) => error.code);
      expect(codes.filter((code) => compiler.includes(code))).not.toEqual([]);
    }
  });

  test("files that keep to the rules pass", () => {
    expect(lawful.compiled).toEqual([]);
    expect(lawful.linted).toEqual([]);
  });
});

interface Findings {
  readonly compiled: readonly CompilerError[];
  readonly linted: readonly LintFinding[];
}

/** What the compiler and the linter say about these sources, laid out in a throw-away copy of our configuration. */
async function examine(sources: readonly (readonly [file: string, source: string])[]): Promise<Findings> {
  const house = await mkdtemp(path.join(tmpdir(), "paylode-borders-"));
  try {
    const projects = ["core", "client", "adapters", "node"].map((project) => `tsconfig.${project}.json`);
    const shared = ["package.json", ".oxlintrc.json", "tsconfig.json", "tsconfig.base.json", "core/globals.d.ts"];
    for (const file of [...shared, ...projects]) await cp(path.join(root, file), path.join(house, file));
    await symlink(path.join(root, "node_modules"), path.join(house, "node_modules"), "dir");
    for (const [file, source] of sources) {
      await mkdir(path.dirname(path.join(house, file)), { recursive: true });
      await writeFile(path.join(house, file), source);
    }
    const compiling = Promise.all(projects.map((project) => compile(house, project)));
    return { linted: await lint(house), compiled: (await compiling).flat() };
  } finally {
    await rm(house, { recursive: true, force: true });
  }
}

async function compile(house: string, project: string): Promise<readonly CompilerError[]> {
  const output = await run(house, "tsc", ["-p", project, "--pretty", "false"]);
  const errors = output.split("\n").filter((line) => line.includes("error TS"));
  return errors.map((line) => {
    const [, file, code] = /^(\S+?)\(\d+,\d+\): error (TS\d+):/.exec(line) ?? [];
    // An error without a place is about the configuration itself, and would hide everything else.
    if (file === undefined || code === undefined) throw new Error(`${project}: ${line}`);
    return { file, code };
  });
}

async function lint(house: string): Promise<readonly LintFinding[]> {
  const output = await run(house, "oxlint", ["--type-aware", "--format", "json"]);
  return (JSON.parse(output) as { diagnostics: LintFinding[] }).diagnostics;
}

/** Standard output of one of our tools, whether or not it found something. */
function run(house: string, tool: string, args: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { cwd: house, maxBuffer: 64 * 1024 * 1024 };
  execFile(path.join(root, "node_modules/.bin", tool), args, options, (error, stdout, stderr) => {
    // Findings end the tools with a number; a name like ENOENT, or silence, means that they never looked.
    const looked = error === null || (typeof error.code === "number" && stdout !== "");
    if (looked) resolve(stdout);
    else reject(new Error(`${tool} did not run: ${stderr}`, { cause: error }));
  });
  return promise;
}

interface CompilerError {
  readonly file: string;
  readonly code: string;
}

interface LintFinding {
  readonly filename: string;
  readonly code: string;
  readonly message: string;
  readonly help?: string;
}
