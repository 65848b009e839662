import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDiskAccess } from "../../core/entries/disk-access.ts";
import { errorCodes, type ErrorCode } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import { statusOf } from "../../functions/http-errors.ts";
import { httpLimits } from "../../functions/http-limits.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";
import { loadedRoutes } from "../../functions/route-table.ts";

/** docs/http.md, word for word: each curl is run, and its answer held against the one that stands below it. */
const text = readFileSync(new URL("../../docs/http.md", import.meta.url), "utf8");
const address = "http://localhost:8787";
/** Of a server that asks for keys. */
const keyedAddress = "http://localhost:8788";
const examples = [...text.matchAll(/^```sh\n(.*?)^```\n+(?:```http\n(.*?)^```)?/gms)].map(
  ([, command = "", answer = ""]) => ({ command: command.trim(), answer: answer.trim() }),
);
const hasCurl = spawnSync("curl", ["--version"]).status === 0;

describe("docs/http.md", () => {
  let directory: string;
  let server: LocalServer;
  let keyed: LocalServer;
  let token: string;
  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), "paylode-examples-"));
    server = await serveLocal({ directory, port: 0 });
    const folder = path.join(directory, "keyed");
    const newKey = { tenant: "default", name: "examples", quota: { bytesPerDay: 1_000 } };
    ({ token } = await openDiskAccess(folder).keeper.create({ ...newKey, scopes: ["read", "write"] }));
    keyed = await serveLocal({ directory: folder, port: 0 });
  });
  afterAll(async () => {
    await server.close();
    await keyed.close();
    rmSync(directory, { recursive: true, force: true });
  });

  // A machine without curl cannot run them; one that proves releases must not pass them over.
  describe.skipIf(!hasCurl && process.env["CI"] === undefined)("has examples", () => {
    test.each(examples)("$command", async ({ command, answer }) => {
      const isKeyed = command.includes(keyedAddress);
      expect(command).toContain(isKeyed ? keyedAddress : address);
      const [wantedHead, wantedBody] = split(answer);
      const [wantedStatus = "", ...wantedHeaders] = wantedHead.split("\n");

      const [head, body] = split(
        await run(command.replaceAll(address, server.url).replaceAll(keyedAddress, keyed.url), token),
      );
      const [status, ...headers] = head
        .split("\n")
        .map((line) => line.replace(/^[\w-]+:/, (name) => name.toLowerCase()));

      expect(status).toBe(wantedStatus);
      for (const header of wantedHeaders) expect(headers).toContainEqual(expect.stringMatching(pattern(header)));
      expect(body.trimEnd()).toMatch(pattern(wantedBody));
    });

    test("of every route", async () => {
      const counted = await (await fetch(`${server.url}/metrics`)).text();

      const missing = Object.entries(await loadedRoutes()).flatMap(([route, methods]) =>
        Object.keys(methods)
          .map((method) => `paylode_http_requests_total{method="${method}",route="${route}"`)
          .filter((sample) => !counted.includes(sample)),
      );

      expect(missing).toEqual([]);
    });
  });

  test("has a row for each code, with its status and whether to retry", () => {
    const rows = [...text.matchAll(/^\| `([A-Z_]+)` +\| (\d{3}) +\| (yes|no) +\|/gm)];

    const codes = Object.entries(errorCodes).map(([code, { retryable }]) => {
      return [code, { status: statusOf[code as ErrorCode], retryable }] as const;
    });

    expect(
      Object.fromEntries(
        rows.map(([, code, status, retry]) => [code, { status: Number(status), retryable: retry === "yes" }]),
      ),
    ).toEqual({ ...Object.fromEntries(codes), INTERNAL: { status: 500, retryable: false } });
  });

  test("names the limits as they are", () => {
    const all: Readonly<Record<string, number>> = { ...limits, ...httpLimits };
    const rows = [...text.matchAll(/^\| [^|]+ \| ([\d,]+)(?: bytes)? +\| `(\w+)` +\|/gm)];

    expect(rows.length).toBeGreaterThan(5);
    for (const [, value = "", name = ""] of rows)
      expect({ name, value: Number(value.replaceAll(",", "")) }).toEqual({ name, value: all[name] });
  });
});

/** The server lives in this process: what runs beside it must not stop it. */
async function run(command: string, token: string): Promise<string> {
  const env = { ...process.env, PAYLODE_KEY: token };
  const { stdout } = await promisify(execFile)("sh", ["-c", command], { env });
  return stdout.replaceAll("\r\n", "\n");
}

function split(answer: string): readonly [head: string, body: string] {
  const end = answer.indexOf("\n\n");
  return end === -1 ? [answer.trim(), ""] : [answer.slice(0, end), answer.slice(end + 2)];
}

/** `…` stands for anything. */
function pattern(wanted: string): RegExp {
  return new RegExp(
    `^${wanted
      .split("…")
      .map((part) => RegExp.escape(part))
      .join("[^]*")}$`,
  );
}
