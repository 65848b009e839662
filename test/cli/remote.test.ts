import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDiskAccess } from "../../core/entries/disk-access.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";
import { run, type Ended } from "../support/command-line.ts";

const sampleFile = path.resolve(import.meta.dirname, "../../docs/sample.ndjson");

/** A server that asks for keys, and a directory in which there is no store. */
describe("commands with --url", () => {
  let directory: string;
  let server: LocalServer;
  let key: string;
  const served = (): string => path.join(directory, "served");
  const remote = (
    args: readonly string[],
    input: string | Uint8Array = "",
    env: object = { PAYLODE_KEY: key },
  ): Promise<Ended> =>
    run(["--url", server.url, "--tenant", "acme", ...args], input, {
      PAYLODE_DIR: path.join(directory, "none"),
      ...env,
    });
  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), "paylode-remote-"));
    const { keeper } = openDiskAccess(served());
    const scopes = ["read", "write", "erase"] as const;
    ({ token: key } = await keeper.create({ tenant: "acme", name: "test", scopes, quota: {} }));
    server = await serveLocal({ directory: served(), port: 0 });
  });
  afterAll(async () => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test("put, get, ls, stats and rm are the life of a payload on any server", async () => {
    const bytes = new Uint8Array(3000).map((_, i) => (i * 31) % 256);

    const stored = await remote(["put", "a/b", "%2F", "--content-type", "image/png", "--json"], bytes);
    expect(stored).toMatchObject({ code: 0, stderr: "" });
    expect(await remote(["put", "a/b", "%2F", "--if-absent"], "other")).toMatchObject({ code: 3 });

    const read = await remote(["get", "a/b", "%2F"]);
    expect(read).toMatchObject({ code: 0, stderr: "" });
    expect(read.stdout.equals(bytes)).toBe(true);
    const listed = await remote(["ls", "a/b", "--json"]);
    expect(JSON.parse(String(listed.stdout))).toMatchObject({ id: "%2F", bytes: 3000, contentType: "image/png" });
    expect(String((await remote(["ls"])).stdout)).toBe("group  payloads\na/b           1\n");
    const stats = await remote(["stats", "--json"]);
    expect(JSON.parse(String(stats.stdout))).toMatchObject({ payloads: 1, uncompressedBytes: 3000 });

    expect(await remote(["rm", "a/b", "%2F"])).toMatchObject({ code: 0 });
    expect(await remote(["rm", "a/b"])).toMatchObject({ code: 1, stderr: "paylode: no group a/b\n" });
    expect(existsSync(path.join(directory, "none"))).toBe(false);
  });

  test("import and export give the sample back", async () => {
    const imported = await remote(["import", sampleFile, "--json"]);
    expect(imported).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(String(imported.stdout))).toMatchObject({ payloads: 66, groups: 3 });

    const exported = await remote(["export"]);

    expect(exported).toMatchObject({ code: 0, stderr: "" });
    const lines = String(exported.stdout).trimEnd().split("\n");
    expect(lines).toHaveLength(66);
    const beside = await run(["--dir", served(), "--tenant", "acme", "export"], "", { PAYLODE_KEY: key });
    expect(beside.stdout.equals(exported.stdout)).toBe(true);
    expect(await remote(["export", "none"])).toMatchObject({ code: 1 });
  });

  test("take the key from a file as well, which goes first", async () => {
    const file = path.join(directory, "key");
    writeFileSync(file, `${key}\n`);

    const stats = await remote(["--key-file", file, "stats", "--json"], "", { PAYLODE_KEY: "another" });

    expect(stats).toMatchObject({ code: 0, stderr: "" });
  });

  test("say what is wrong with the key, and do not show it", async () => {
    const wrong = key.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    const [none, other, unreadable] = await Promise.all([
      remote(["stats"], "", {}),
      remote(["stats"], "", { PAYLODE_KEY: wrong }),
      remote(["--key-file", path.join(directory, "missing"), "stats"], "", {}),
    ]);

    expect(none).toMatchObject({ code: 3 });
    expect(none.stderr).toContain("UNAUTHENTICATED");
    expect(other).toMatchObject({ code: 3 });
    expect(other.stderr).toContain("UNAUTHENTICATED");
    expect(other.stderr).not.toContain(wrong);
    expect(unreadable).toMatchObject({ code: 2 });
    expect(unreadable.stderr).toContain("--key-file cannot be read");

    writeFileSync(path.join(directory, "empty"), "\n");
    expect(await remote(["--key-file", path.join(directory, "empty"), "stats"], "", {})).toMatchObject({ code: 2 });
  });

  test("are those that a server can do: the others work on the folder itself", async () => {
    const ended = await Promise.all([["verify"], ["rebuild"], ["serve"], ["keys", "list"]].map((args) => remote(args)));

    for (const { code, stderr } of ended) {
      expect(code).toBe(2);
      expect(stderr).toContain("works on the folder itself: leave --url out");
    }
  });

  test("of a server that breaks off, tell that the outcome is unknown only where they write", async () => {
    const breaking = createServer((socket) => socket.once("data", () => socket.destroy())).listen(0, "127.0.0.1");
    await once(breaking, "listening");
    const url = `http://127.0.0.1:${(breaking.address() as AddressInfo).port}`;
    try {
      const [read, written] = await Promise.all([
        run(["--url", url, "stats"]),
        run(["--url", url, "put", "g", "a"], "x"),
      ]);

      expect(read).toMatchObject({ code: 3, stderr: expect.stringContaining(`the server at ${url} broke off`) });
      expect(read.stderr).toMatch(/\(UNAVAILABLE: try again later\)\n$/);
      expect(written).toMatchObject({ code: 3, stderr: expect.stringContaining("the outcome of a write is unknown") });
    } finally {
      breaking.close();
    }
  });

  test("say within seconds that no server is there, and at once that the address is none", async () => {
    const [absent, malformed] = await Promise.all([
      run(["--url", "http://127.0.0.1:9", "stats"]),
      run(["--url", "paylode.example", "stats"]),
    ]);

    expect(absent).toMatchObject({ code: 3 });
    expect(absent.stderr).toMatch(
      /^paylode: nobody answers at http:\/\/127\.0\.0\.1:9: .* \(UNAVAILABLE: nothing was sent/,
    );
    expect(malformed).toMatchObject({ code: 2 });
    expect(malformed.stderr).toContain("url must be an address");
  });
});
