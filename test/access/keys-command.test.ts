import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openAwsAccess } from "../../core/entries/aws-access.ts";
import { openDiskAccess } from "../../core/entries/disk-access.ts";
import { startDynalite } from "../support/aws/dynamo-server.ts";

const root = path.resolve(import.meta.dirname, "../..");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const { PATH = "", NODE_COMPILE_CACHE = "" } = process.env;
  const options = { env: { PATH, NODE_COMPILE_CACHE, ...env }, stdio: "pipe" } as const;
  return spawn(process.execPath, [path.join(root, "cli/main.ts"), ...args], options);
}

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = start(args, env);
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: await stdout, stderr: await stderr };
}

async function textOf(stream: AsyncIterable<Uint8Array> | null): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream ?? []) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

const token = /^pl_acme_([0-9a-f]{12})_[A-Za-z0-9_-]{43}\n$/;

let directory: string;
beforeEach(() => {
  directory = path.join(mkdtempSync(path.join(tmpdir(), "paylode-keys-")), "store");
});
afterEach(() => rmSync(path.dirname(directory), { recursive: true, force: true }));

const keys = (...args: readonly string[]): Promise<Ended> =>
  run(["--dir", directory, "--tenant", "acme", "keys", ...args]);

/** What becomes of a token in a process that has just begun. */
const isLetIn = (text: string): Promise<boolean> =>
  openDiskAccess(directory)
    .authenticator.keyOf(text.trim())
    .then(() => true)
    .catch(() => false);

describe("paylode keys", () => {
  test("makes a key, and prints its token alone on standard output", async () => {
    const limits = ["--requests-per-minute", "1000", "--bytes-per-day", "5000000000"];
    const made = await keys(
      "create",
      "--name",
      "ingest é",
      "--scope",
      "write",
      "--scope",
      "read",
      "--expires",
      "90d",
      ...limits,
    );

    expect(made.code).toBe(0);
    expect(made.stdout).toMatch(token);
    const [, id = ""] = token.exec(made.stdout) ?? [];
    expect(made.stderr).toContain(`key ${id} of tenant acme: ingest é, write read, expires `);
    expect(made.stderr).not.toContain(made.stdout.trim().slice(-43));
    expect(readFileSync(path.join(directory, "keys.json"), "utf8")).not.toContain(made.stdout.trim().slice(-43));
    const key = await openDiskAccess(directory).authenticator.keyOf(made.stdout.trim());
    expect(key).toMatchObject({
      tenant: "acme",
      id,
      name: "ingest é",
      scopes: ["write", "read"],
      quota: { requestsPerMinute: 1_000, bytesPerDay: 5_000_000_000 },
    });
    const days = ((key.expiresMs ?? 0) - key.createdMs) / 86_400_000;
    expect(days).toBeCloseTo(90, 2);
  });

  test("prints JSON for programs", async () => {
    const made = await keys("create", "--name", "n", "--scope", "read", "--json");
    const listed = await keys("list", "--json");
    const { token: printed, ...shown } = JSON.parse(made.stdout) as { token: string; id: string };

    expect(printed).toContain(`pl_acme_${shown.id}_`);
    expect(
      listed.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([shown]);
  });

  test("lists the keys of a tenant, without anything that would let somebody in", async () => {
    const made = [
      await keys("create", "--name", "first", "--scope", "read"),
      await keys("create", "--name", "second", "--scope", "admin", "--expires", "1d"),
    ];

    const listed = await keys("list");
    const others = await run(["--dir", directory, "--tenant", "other", "keys", "list"]);

    expect(listed.stdout).toMatch(
      /^id .*\n[0-9a-f]{12} +first +read .* never +none\n[0-9a-f]{12} +second +admin .*Z +none\n$/,
    );
    for (const { stdout } of made) expect(listed.stdout).not.toContain(stdout.trim().slice(-43));
    expect(listed.stdout).not.toMatch(/[0-9a-f]{64}/);
    expect(others).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("rotates a key: the old token goes on for the overlap alone", async () => {
    const made = await keys("create", "--name", "n", "--scope", "read");
    const [, id = ""] = token.exec(made.stdout) ?? [];

    const first = await keys("rotate", id);
    expect(first).toMatchObject({ code: 0 });
    const overlaps = /the token before goes on until (\S+)\n/.exec(first.stderr)?.[1] ?? "";
    expect((Date.parse(overlaps) - Date.now()) / 3_600_000).toBeCloseTo(24, 1);
    expect([await isLetIn(made.stdout), await isLetIn(first.stdout)]).toEqual([true, true]);

    const second = await keys("rotate", id, "--overlap", "0s");
    expect([await isLetIn(made.stdout), await isLetIn(first.stdout), await isLetIn(second.stdout)]).toEqual([
      false,
      false,
      true,
    ]);
  });

  test("ends a key now, or at a time", async () => {
    const made = await keys("create", "--name", "n", "--scope", "read");
    const [, id = ""] = token.exec(made.stdout) ?? [];

    expect(await keys("expire", id, "--at", "2099-01-01T00:00:00+01:00")).toMatchObject({
      code: 0,
      stdout: `key ${id} ends at 2098-12-31T23:00:00.000Z\n`,
    });
    expect(await isLetIn(made.stdout)).toBe(true);
    expect(await keys("expire", id)).toMatchObject({ code: 0 });
    expect(await isLetIn(made.stdout)).toBe(false);
    expect(await keys("expire", id)).toMatchObject({ code: 2 });
  });

  test.each([
    [["create", "--scope", "read"], 2, "--name"],
    [["create", "--name", "n"], 2, "--scope"],
    [["create", "--name", "n", "--scope", "root"], 2, "A scope is one of"],
    [["create", "--name", "", "--scope", "read"], 2, "name must be"],
    [["create", "--name", "n", "--scope", "read", "--expires", "soon"], 2, "A duration is"],
    [["create", "--name", "n", "--scope", "read", "--expires", "0s"], 2, "in the future"],
    [["create", "--name", "n", "--scope", "read", "--bytes-per-day", "0"], 2, "whole number"],
    [["create", "--name", "n", "--scope", "read", "--requests-per-minute", "1e3"], 2, "whole number"],
    [["rotate", "000000000000"], 1, "there is no key 000000000000 of tenant acme"],
    [["expire", "000000000000"], 1, "there is no key"],
    [["expire", "000000000000", "--at", "2030-01-01"], 2, "A time is"],
    [["expire", "000000000000", "--at", "tomorrow"], 2, "A time is"],
    [["revoke", "000000000000"], 2, ""],
  ] as const)("refuses %j, and changes nothing", async (args, code, said) => {
    const ended = await keys(...args);

    expect(ended).toMatchObject({ code, stdout: "" });
    expect(ended.stderr).toContain(said);
    expect(existsSync(path.join(directory, "keys.json"))).toBe(false);
  });

  test("loses no key when several processes make one at the same time", async () => {
    const made = await Promise.all(
      Array.from({ length: 4 }, (_, i) => keys("create", "--name", `key ${i}`, "--scope", "read")),
    );

    expect(made.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(await Promise.all(made.map(({ stdout }) => isLetIn(stdout)))).toEqual([true, true, true, true]);
  });

  test("works on a DynamoDB table, with credentials from the environment", async () => {
    const dynamo = await startDynalite();
    try {
      const table = await dynamo.freshTable();
      const { accessKeyId, secretAccessKey } = dynamo.credentials;
      const env = {
        AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      };
      const onTable = (...args: readonly string[]): Promise<Ended> =>
        run(["--dir", directory, "--tenant", "acme", "keys", ...args, "--table", table, "--region", "us-east-1"], env);

      const made = await onTable("create", "--name", "n", "--scope", "read");
      const [, id = ""] = token.exec(made.stdout) ?? [];
      const rotated = await onTable("rotate", id, "--overlap", "1h");
      const listed = await onTable("list", "--json");

      expect([made.code, rotated.code, listed.code]).toEqual([0, 0, 0]);
      expect(JSON.parse(listed.stdout)).toMatchObject({ id, name: "n" });
      const { authenticator } = openAwsAccess({ table, client: dynamo.client() });
      for (const { stdout } of [made, rotated]) {
        expect(await authenticator.keyOf(stdout.trim())).toMatchObject({ id });
      }
      expect(existsSync(directory)).toBe(false);
      expect(await onTable("expire", "000000000000")).toMatchObject({ code: 1 });
    } finally {
      await dynamo.close();
    }
  });
});

describe("paylode serve", () => {
  test("refuses other machines without a key, and says how to make one", async () => {
    const refused = await run(["serve", "--dir", directory, "--port", "0", "--host", "0.0.0.0"]);
    const keyless = await run(["serve", "--dir", directory, "--port", "0", "--host", "0.0.0.0", "--no-keys"]);

    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain("`paylode keys create` makes one");
    expect(keyless).toMatchObject({ code: 2, stdout: "" });
    expect(existsSync(directory)).toBe(false);
  });

  test("notices keys that are made and ended beside it, and lets a command with a key in", async () => {
    const server = start(["serve", "--dir", directory, "--json"], { PORT: "0" });
    try {
      const [line] = (await once(server.stdout ?? server, "data")) as [Buffer];
      const { url } = JSON.parse(String(line)) as { url: string };
      const status = async (text?: string): Promise<number> => {
        const headers = text === undefined ? {} : { authorization: `Bearer ${text.trim()}` };
        return (await fetch(`${url}/v1/acme/stats`, { headers })).status;
      };
      expect(await status()).toBe(200);

      const made = await keys("create", "--name", "n", "--scope", "read");

      expect([await status(), await status(made.stdout)]).toEqual([401, 200]);
      const args = ["--dir", directory, "--tenant", "acme", "stats", "--json"];
      expect(await run(args)).toMatchObject({ code: 3 });
      expect(await run(args, { PAYLODE_KEY: made.stdout.trim() })).toMatchObject({ code: 0 });
    } finally {
      server.kill("SIGTERM");
      await once(server, "close");
    }
  });
});

test("a store on AWS is not served without a table of keys", () => {
  const without = [undefined, ""].map((table) => () => openAwsAccess({ table: table as string }));

  for (const open of without) expect(open).toThrow(expect.objectContaining({ code: "INVALID" }));
});
