import { builtinModules } from "node:module";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiBundle } from "../../infra/api-bundle.ts";
import { type Built, buildApi } from "../../infra/build-api.ts";

/** The file that is deployed. */
let folder: string;
let built: Built;
let inputs: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "paylode-bundle-"));
  built = await buildApi(folder);
  inputs = Object.keys(built.metafile.inputs);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The files that are loaded before the first request. */
function started(): readonly string[] {
  const { outputs } = built.metafile;
  const files = new Set<string>();
  const start = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    const imports = outputs[file]?.imports.filter(
      ({ kind, external }) => kind === "import-statement" && external !== true,
    );
    for (const { path: imported } of imports ?? []) start(imported);
  };
  start(Object.keys(outputs).find((file) => file.endsWith("bundle.mjs"))!);
  return [...files];
}

describe("the bundle of the function", () => {
  test("has at most 640 KiB", () => {
    expect(built.bytes).toBeLessThanOrEqual(640 * 1024);
  });

  test("holds the OpenAPI document, and nothing that makes it", () => {
    expect(inputs).toContain("functions/openapi-packed.json");
    const generators =
      /node_modules\/(?:hono-openapi|@valibot\/to-json-schema|@standard-community\/[^/]+)\/|functions\/openapi\.ts/;
    expect(inputs.filter((input) => generators.test(input))).toEqual([]);
  });

  test("holds nothing of the local server, the command line, the tests or the infrastructure", () => {
    const foreign =
      /^(?:cli|test|bench|infra|node_modules\/(?:prom-client|@hono\/node-server|commander))\/|^functions\/local/;
    expect(inputs.filter((input) => foreign.test(input))).toEqual([]);
  });

  test("parses at its start nothing that the first answer does not need", () => {
    const parsed = started().flatMap((file) => Object.keys(built.metafile.outputs[file]?.inputs ?? {}));

    expect(parsed).toContain("functions/api.ts");
    expect(parsed).toContain("functions/routes/put-payload.ts");
    const later =
      /openapi-packed\.json|s3-request-presigner\/|client-s3\/|middleware-sdk-s3\/|lru-cache\/dist|functions\/(?:further-routes|erasures|ndjson-batch)/;
    expect(parsed.filter((input) => later.test(input))).toEqual([]);
    expect(inputs.filter((input) => later.test(input)).length).toBeGreaterThan(50);
  });

  test("lies in few files at its start: each takes longer to open than its bytes to parse", () => {
    expect(started().length).toBeLessThanOrEqual(6);
  });

  test("leaves out what no route asks the store for", () => {
    expect(
      inputs.filter((input) => /core\/(?:verify|repair)\/(?!report|loss)|segment\/scan|aws\/rebuild/.test(input)),
    ).toEqual([]);
  });

  test("runs on any processor: no input is native code", () => {
    expect(inputs.filter((input) => /\.(?:node|wasm)$/.test(input))).toEqual([]);
  });

  test("needs nothing beside it but Node, unless credentials are not in the environment", () => {
    const beside = Object.values(built.metafile.outputs)
      .flatMap(({ imports }) => imports)
      .filter(({ path: name, external }) => external === true && !builtinModules.includes(name.replace("node:", "")));

    const known = apiBundle.esbuild.external.map((name) => name.replace(/^\*\/(?:.*\/)?/, ""));
    expect(beside.filter(({ path: name }) => !known.includes(name.replace(/^\.{1,2}\/(?:.*\/)?/, "")))).toEqual([]);
    expect(new Set(beside.map(({ kind }) => kind))).toEqual(new Set(["dynamic-import"]));
  });

  test("is what SST is told to make", async () => {
    const source = await readFile(new URL("../../infra/api.ts", import.meta.url), "utf8");

    expect(source).toMatch(/^ {2}nodejs: apiBundle,$/m);
  });
});
