import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** A new user follows the README in a fresh clone: its own commands, word for word but for the port. */

const repository = fileURLToPath(new URL("..", import.meta.url));
const corpus = join(repository, "../shared/corpus/airline-messages.ndjson.gz");

interface Line {
  readonly group: string;
  readonly id: string;
  readonly text?: string;
  readonly json?: unknown;
  readonly base64?: string;
  readonly payload?: string;
}

let folder = "";
let clone = "";
let start = "";
let usage: string[] = [];
let server: { process: ChildProcess; url: string } | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "paylode-readme-"));
  clone = join(folder, "paylode");
  await run(`git clone --quiet ${repository} ${clone}`, folder);
  const blocks = [...(await readFile(join(clone, "README.md"), "utf8")).matchAll(/^```sh\n(.*?)^```$/gms)].map(
    ([, text = ""]) => text.trim(),
  );
  [start = "", ...usage] = blocks;
});

afterAll(async () => {
  await kill();
  await rm(folder, { recursive: true, force: true });
});

describe("the README's quick start, in a fresh clone", () => {
  it("installs and serves with its first command", async () => {
    expect(start).toBe("npm ci && npm start");
    server = await serve(start);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  it("imports the sample, and curl reads every payload back byte for byte", async () => {
    const [imports = ""] = usage;
    expect(imports).toContain("npx paylode import docs/sample.ndjson");
    await run(imports, clone);
    expect(await compare(parseLines(await readFile(join(clone, "docs/sample.ndjson"), "utf8")))).toBeGreaterThan(50);
  });

  it("stores and reads a payload with curl", async () => {
    const [, curls = ""] = usage;
    const [put = "", get = "", list = ""] = curls.replaceAll("http://localhost:8787", server?.url ?? "").split("\n");
    await run(`${put} --fail --silent`, clone);
    expect(await run(`${get} --fail --silent`, clone)).toBe(await readFile(join(clone, "README.md"), "utf8"));
    expect(await run(`${list} --fail --silent`, clone)).toContain('"readme"');
  });

  it("loses nothing that it acknowledged when it is killed in the middle of a write", async () => {
    const acknowledged: string[] = [];
    const url = server?.url ?? "";
    const writers = [0, 1, 2, 3].map(async (writer) => {
      for (let n = 0; ; n++) {
        const path = `/v1/default/groups/killed-${writer}/payloads/${n}`;
        const answer = await fetch(url + path, { method: "PUT", body: `payload ${path}` }).catch(() => undefined);
        if (!answer?.ok) return;
        acknowledged.push(path);
      }
    });
    while (acknowledged.length < 300) await wait(5);
    await kill();
    await Promise.all(writers);

    server = await serve("npm start");
    for (const path of acknowledged) expect(await (await fetch(server.url + path)).text()).toBe(`payload ${path}`);
  });

  // The corpus lies beside the repository where the project is developed, and nowhere else.
  it.skipIf(!existsSync(corpus))("takes the 5,308 messages of the corpus the same way", async () => {
    await run(`npx paylode import ${corpus}`, clone);
    expect(await compare(parseLines(gunzipSync(await readFile(corpus)).toString("utf8")))).toBe(5308);
  });
});

function parseLines(text: string): Line[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

async function compare(lines: readonly Line[]): Promise<number> {
  for (const line of lines) {
    const { group, id, base64, json } = line;
    const path = `/v1/default/groups/${encodeURIComponent(group)}/payloads/${encodeURIComponent(id)}`;
    const expected =
      base64 !== undefined
        ? Buffer.from(base64, "base64")
        : Buffer.from(line.text ?? line.payload ?? JSON.stringify(json));
    const answer = await fetch((server?.url ?? "") + path);
    expect(answer.status, path).toBe(200);
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), expected), path).toBe(0);
  }
  return lines.length;
}

/** An environment as after a fresh install: an own prefix, and nothing of the runner's own npm. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("npm_") && !["NODE_ENV", "NODE_COMPILE_CACHE", "VITEST", "INIT_CWD"].includes(name),
  );
  const path = (process.env["PATH"] ?? "").split(":").filter((part) => !part.includes("node_modules"));
  return { ...Object.fromEntries(kept), PATH: path.join(":"), npm_config_prefix: join(folder, "prefix"), PORT: "0" };
}

async function run(command: string, cwd: string): Promise<string> {
  const child = spawn("bash", ["-euo", "pipefail", "-c", command], {
    cwd,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${command}: exit ${code}\n${output}${errors}`);
  return output;
}

async function serve(command: string): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn("bash", ["-c", command], { cwd: clone, env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const url = await new Promise<string>((resolve, reject) => {
    const look = (text: string) => {
      output += text;
      const found = /http:\/\/(?:localhost|127\.0\.0\.1):\d+/.exec(output);
      if (found) resolve(found[0]);
    };
    child.stdout.setEncoding("utf8").on("data", look);
    child.stderr.setEncoding("utf8").on("data", look);
    child.once("close", (code) => reject(new Error(`${command}: exit ${code}\n${output}`)));
  });
  return { process: child, url };
}

/** Kills the serving process itself, which the folder's lock names, and waits for the commands around it. */
async function kill(): Promise<void> {
  if (!server) return;
  const { pid } = JSON.parse(await readFile(join(clone, "data/LOCK.json"), "utf8")) as { pid: number };
  const ended = once(server.process, "close");
  process.kill(pid, "SIGKILL");
  await ended;
  server = undefined;
}
