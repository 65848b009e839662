import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveLocal, type LocalServer } from "../../functions/local.ts";

/** docs/client.md: what it shows is run against a server, what it lists is looked up. */
const root = path.resolve(import.meta.dirname, "../..");
const text = readFileSync(path.join(root, "docs/client.md"), "utf8");
const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, source = ""], i) => [i + 1, source] as const);
const client = pathToFileURL(path.join(root, "core/entries/client.ts")).href;

/** What a page has and Node has not. */
const page = "globalThis.addEventListener = globalThis.removeEventListener = () => {};\n";

describe("docs/client.md", () => {
  let directory: string;
  let server: LocalServer;
  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), "paylode-client-docs-"));
    server = await serveLocal({ directory: path.join(directory, "store"), port: 0 });
  });
  afterAll(async () => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test.each(examples)("has an example %i that runs", async (i, source) => {
    const file = path.join(directory, `example-${i}.mts`);
    const url = JSON.stringify(server.url);
    const here = source.replace('"paylode/client"', JSON.stringify(client)).replace('"https://paylode.example"', url);
    writeFileSync(file, page + here.replace(', key: "pl_acme_…"', ""));

    const ended = await promisify(execFile)(process.execPath, [file], { timeout: 30_000 });

    expect(ended.stderr).toBe("");
  });

  test("has examples that leave behind what they say", async () => {
    const stats = await server.store.stats({ tenant: "acme" });
    const last = await server.store.get({ tenant: "acme", group: "run-42", id: "last words" });

    expect(examples).toHaveLength(4);
    expect(stats.payloads).toBe(1003);
    expect(new TextDecoder().decode(last)).toBe("done");
  });
});
