import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";
import { collect, run, start, type Ended } from "../support/command-line.ts";
import { perTier } from "../support/per-tier.ts";

const root = path.resolve(import.meta.dirname, "../..");
const sampleFile = path.join(root, "docs/sample.ndjson");

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "paylode-cli-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The payloads that lines of an import or an export stand for. */
function payloadsIn(ndjson: string): readonly unknown[] {
  type Line = { group: string; id: string; text?: string; json?: unknown; base64?: string };
  const lines = ndjson.trimEnd().split("\n");
  const payloads = lines.map((text) => {
    const { group, id, text: plain, json, base64 } = JSON.parse(text) as Line;
    const bytes = base64 === undefined ? Buffer.from(plain ?? JSON.stringify(json)) : Buffer.from(base64, "base64");
    return { group, id, bytes: bytes.toString("hex") };
  });
  // Order counts within a group. Behind a server groups may begin in another order than they stand in the file.
  return Object.entries(Object.groupBy(payloads, ({ group }) => group)).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** The same commands give the same answers whether the folder is opened or a server holds it. */
describe.each([perTier({ where: "on a folder", served: false }, { where: "beside a server", served: true })])(
  "commands $where",
  ({ served }) => {
    let server: LocalServer | undefined;
    let paylode: (args: readonly string[], input?: string | Uint8Array) => Promise<Ended>;
    beforeEach(async () => {
      const folder = path.join(directory, "store");
      server = served ? await serveLocal({ directory: folder, port: 0 }) : undefined;
      paylode = (args, input) => run(["--dir", folder, ...args], input);
    });
    afterEach(() => server?.close());

    test("ls --where lists what has these attributes", async () => {
      const line = (group: string, id: string, attributes: object) =>
        JSON.stringify({ group, id, text: "x", attributes });
      const lines = [
        line("run-1", "a", { user: "u1", model: "m=1" }),
        line("run-1", "b", { user: "u1" }),
        line("run-2", "a", { user: "u2", model: "m=1" }),
      ];
      expect(await paylode(["import", "-"], lines.join("\n"))).toMatchObject({ code: 0 });
      const found = async (...args: readonly string[]) => {
        const { code, stdout } = await paylode(["ls", "--json", ...args]);
        expect(code).toBe(0);
        const rows = String(stdout).trimEnd().split("\n").filter(Boolean);
        return rows
          .map((row) => JSON.parse(row) as { group?: string; id: string })
          .map(({ group, id }) => `${group} ${id}`);
      };

      expect(await found("--where", "user=u1")).toEqual(["run-1 a", "run-1 b"]);
      expect(await found("--where", "user=u1", "--where", "model=m=1")).toEqual(["run-1 a"]);
      expect((await found("--where", "model=m=1")).toSorted()).toEqual(["run-1 a", "run-2 a"]);
      expect(await found("run-1", "--where", "model=m=1")).toEqual(["undefined a"]);
      expect(await found("run-1", "--where", "model=none")).toEqual([]);
      expect(await found("--where", "user=u3")).toEqual([]);
      const table = await paylode(["ls", "--where", "user=u2"]);
      expect(String(table.stdout)).toMatch(/^group +id +bytes +type +time\nrun-2 +a +1 +text\/plain/);
      for (const wrong of [["user"], ["=u1"], ["user=u1", "--where", "user=u2"]]) {
        expect((await paylode(["ls", "--where", ...wrong])).code).not.toBe(0);
      }
    });

    test("put, get, ls, stats and rm are the life of a payload", async () => {
      const bytes = new Uint8Array(3000).map((_, i) => (i * 31) % 256);
      const file = path.join(directory, "output");

      const stored = await paylode(["put", "a/b", "%2F", "--content-type", "image/png", "--json"], bytes);
      expect(stored).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(String(stored.stdout))).toMatchObject({ group: "a/b", id: "%2F", bytes: 3000 });

      const again = await paylode(["put", "a/b", "%2F", "--if-absent"], "other");
      expect(again.code).toBe(3);
      expect(again.stderr).toContain("EXISTS");

      const read = await paylode(["get", "a/b", "%2F"]);
      expect(read.code).toBe(0);
      expect(read.stdout.equals(bytes)).toBe(true);
      expect(await paylode(["get", "a/b", "%2F", "--output", file])).toMatchObject({ code: 0 });
      expect(readFileSync(file).equals(bytes)).toBe(true);

      const listed = await paylode(["ls", "a/b", "--json"]);
      expect(JSON.parse(String(listed.stdout))).toMatchObject({ id: "%2F", bytes: 3000, contentType: "image/png" });
      const groups = await paylode(["ls"]);
      expect(String(groups.stdout)).toBe("group  payloads\na/b           1\n");

      const stats = await paylode(["--json", "stats"]);
      expect(JSON.parse(String(stats.stdout))).toMatchObject({ payloads: 1, uncompressedBytes: 3000 });

      expect(await paylode(["rm", "a/b", "%2F"])).toMatchObject({ code: 0 });
      // Whatever the command, a group that is not there is told, with code 1; a tenant without groups is none of that.
      for (const command of ["ls", "export", "rm"])
        expect(await paylode([command, "a/b"])).toMatchObject({ code: 1, stderr: "paylode: no group a/b\n" });
      expect(await paylode(["ls"])).toMatchObject({ code: 0, stderr: "" });
      expect(await paylode(["rm", "a/b", "%2F"])).toMatchObject({
        code: 1,
        stderr: "paylode: no payload %2F in group a/b\n",
      });
      const gone = await paylode(["get", "a/b", "%2F"]);
      expect(gone).toMatchObject({ code: 1, stderr: "paylode: no payload %2F in group a/b\n" });
      expect(gone.stdout).toHaveLength(0);
    });

    test("import and export give the sample back byte for byte, for each tenant apart", async () => {
      const imported = await paylode(["import", sampleFile, "--json"]);
      expect(JSON.parse(String(imported.stdout))).toMatchObject({ payloads: 66, groups: 3 });
      expect(imported).toMatchObject({ code: 0, stderr: "" });

      const exported = await paylode(["export"]);
      expect(exported).toMatchObject({ code: 0, stderr: "" });
      expect(payloadsIn(String(exported.stdout))).toEqual(payloadsIn(readFileSync(sampleFile, "utf8")));

      const zipped = await paylode(["--tenant", "second", "import", "-"], gzipSync(exported.stdout));
      expect(zipped).toMatchObject({ code: 0 });
      expect(zipped.stderr).toMatch(/^imported 66 payloads in 3 groups, [\d,]+ bytes, in [\d.]+ s\n$/);
      const group = "support-2026-04-20T05-55-41-000002";
      const [first, second] = await Promise.all([
        paylode(["export", group]),
        paylode(["--tenant", "second", "export", group]),
      ]);
      expect(first.stdout.length).toBeGreaterThan(10_000);
      expect(second.stdout.equals(first.stdout)).toBe(true);

      expect(await paylode(["--tenant", "second", "rm", group])).toMatchObject({ code: 0 });
      expect(await paylode(["--tenant", "second", "export", group])).toMatchObject({ code: 1 });
      expect(await paylode(["verify"])).toMatchObject({ code: 0 });
    });

    test("import stops at a bad line, names it, and keeps what came before it", async () => {
      const lines = [
        '{"group":"g","id":"1","text":"a"}',
        "",
        '{"group":"g","id":"1","text":"b"}',
        '{"group":"g","id":"2"}',
      ];

      const stopped = await paylode(["import", "-"], lines.join("\n"));

      expect(stopped.code).toBe(3);
      expect(stopped.stderr).toMatch(/^paylode: line 4: exactly one of .*; 2 payloads stored before\n$/);
      expect(String((await paylode(["get", "g", "1"])).stdout)).toBe("b");
    });
  },
);

describe("paylode", () => {
  test("says what went wrong with a command line, with code 2", async () => {
    const wrong: readonly (readonly [args: readonly string[], message: string])[] = [
      [["frobnicate"], "unknown command 'frobnicate'"],
      [["put", "g"], "missing required argument 'id'"],
      [["put", "g", "a", "--codec", "gzip"], "Allowed choices are none, lz4, zstd"],
      [["put", "g", "a", path.join(directory, "none")], "cannot be read"],
      [["--tenant", "No_Tenant", "put", "g", "a"], "tenant must match"],
      [["put", "..", "a"], 'group must not be "." or ".."'],
      [["serve", "--host", "0.0.0.0"], "not a loopback address"],
      [["serve", "--compact-every", "often"], "seconds, or one with s, m, h or d"],
      [["serve", "--port", "65536"], "whole number from 0 to 65535"],
    ];

    const ended = await Promise.all(wrong.map(([args]) => run(["--dir", path.join(directory, "store"), ...args], "x")));

    for (const [i, [, message]] of wrong.entries()) {
      expect(ended[i]).toMatchObject({ code: 2 });
      expect(ended[i]?.stderr).toContain(message);
    }
  });

  test("documents itself, its version and its exit codes", async () => {
    const [help, version] = await Promise.all([run(["--help"]), run(["--version"])]);

    expect(help.code).toBe(0);
    expect(String(help.stdout)).toMatch(/Exit codes:\n {2}0 {2}done\n {2}1 {2}not found/);
    expect(version).toMatchObject({ code: 0 });
    expect(String(version.stdout)).toMatch(/^\d+\.\d+\.\d+/);
  });

  test("does not make a folder in order to read from it", async () => {
    const folder = path.join(directory, "none");

    const ended = await run(["get", "g", "a"], "", { PAYLODE_DIR: folder });

    expect(ended).toMatchObject({ code: 1 });
    expect(ended.stderr).toContain(`there is no store at ${folder}`);
  });

  test("ends in silence when the reader of a pipe has seen enough", async () => {
    const store = await openDisk({ directory });
    const bytes = new Uint8Array(200_000);
    for (let i = 0; i < 20; i++) await store.append({ tenant: "default", group: "g", id: `${i}` }, bytes);
    await store.close();

    const child = start(["--dir", directory, "export"]);
    child.stdout?.once("data", () => child.stdout?.destroy());
    const stderr = collect(child.stderr);
    const [code] = (await once(child, "close")) as [number | null];

    expect({ code, stderr: String(await stderr) }).toEqual({ code: 0, stderr: "" });
  });

  test("escapes what would redraw a terminal", async () => {
    const store = await openDisk({ directory });
    await store.append({ tenant: "default", group: "g", id: "\u001b[2J\u202e" }, new Uint8Array(1));
    await store.close();

    const { stdout } = await run(["--dir", directory, "ls", "g"]);

    expect(String(stdout)).toContain("\\u001b[2J\\u202e ");
    expect(String(stdout)).not.toContain("\u001b");
  });

  test("export and import of one folder can stand in one pipe", async () => {
    await run(["--dir", directory, "import", sampleFile]);
    const exporting = start(["--dir", directory, "export"]);
    const importing = start(["--dir", directory, "--tenant", "copy", "import", "-"]);
    if (importing.stdin) exporting.stdout?.pipe(importing.stdin);

    const [[exported], [imported]] = await Promise.all([once(exporting, "close"), once(importing, "close")]);

    expect({ exported: exported as unknown, imported: imported as unknown }).toEqual({ exported: 0, imported: 0 });
    const store = await openDisk({ directory });
    expect(await store.size({ tenant: "copy" })).toBe(66);
    await store.close();
  });

  test("verify finds damage with code 1, and rebuild makes the index again", async () => {
    const store = await openDisk({ directory });
    await store.append({ tenant: "default", group: "g", id: "a" }, new TextEncoder().encode("x".repeat(900)));
    const { segment } = await store.append({ tenant: "default", group: "g", id: "b" }, new Uint8Array(10));
    await store.close();

    expect(await run(["--dir", directory, "rebuild"])).toMatchObject({ code: 0, stderr: "" });
    expect(await run(["--dir", directory, "verify"])).toMatchObject({ code: 0 });

    const file = findFile(directory, segment);
    const bytes = readFileSync(file);
    const place = bytes.indexOf("xxxxxxxx");
    bytes[place] = 0x79;
    writeFileSync(file, bytes);
    const damaged = await run(["--dir", directory, "--json", "verify"]);
    expect(damaged.code).toBe(1);
    const report = JSON.parse(String(damaged.stdout)) as { faults: object[] };
    expect(report.faults).toMatchObject([{ kind: "damaged", tenant: "default", segment }]);

    const at = ["--dir", directory];
    expect((await run([...at, "export", "g"])).code).toBe(3);
    const exported = await run([...at, "export", "g", "--skip-damaged"]);
    expect(exported).toMatchObject({ code: 1, stderr: expect.stringContaining("left out payload a of group g") });
    expect(String(exported.stdout)).toContain(`"id":"b"`);
    expect(String(exported.stdout)).not.toContain(`"id":"a"`);
    expect(await run([...at, "repair", "--dry-run"])).toMatchObject({ code: 1 });
    const repaired = await run([...at, "repair"]);
    expect(repaired).toMatchObject({ code: 1, stderr: expect.stringContaining("1 loss not accepted") });
    expect(String(repaired.stdout)).toContain("lost: ");
    expect((await run([...at, "get", "g", "a"])).code).toBe(3);
    const accepted = await run([...at, "repair", "--accept-loss"]);
    expect(accepted.code).toBe(0);
    expect(String(accepted.stdout)).toContain("deleted in group g of default: a");
    expect((await run([...at, "get", "g", "a"])).code).toBe(1);
    const verified = await run([...at, "verify"]);
    expect(verified.code).toBe(0);
    expect(String(verified.stdout)).toContain("no faults");
    const stats = await run([...at, "--json", "stats", "--full"]);
    expect(JSON.parse(String(stats.stdout))).toMatchObject({ exact: true, storage: { supersededSegments: 0 } });
  }, 60_000);
});

describe("paylode and a process that holds the folder without serving it", () => {
  let held: string;
  let store: Awaited<ReturnType<typeof openDisk>>;
  beforeAll(async () => {
    held = mkdtempSync(path.join(tmpdir(), "paylode-held-"));
    store = await openDisk({ directory: held });
    await store.append({ tenant: "default", group: "g", id: "a" }, new TextEncoder().encode("read beside it"));
  });
  afterAll(async () => {
    await store.close();
    rmSync(held, { recursive: true, force: true });
  });

  test("reads beside it, and is refused by name where it would write", async () => {
    const [read, put, rebuild] = await Promise.all([
      run(["--dir", held, "get", "g", "a"]),
      run(["--dir", held, "put", "g", "b"], "x"),
      run(["--dir", held, "rebuild"]),
    ]);

    expect(read).toMatchObject({ code: 0, stderr: "" });
    expect(String(read.stdout)).toBe("read beside it");
    for (const refused of [put, rebuild]) {
      expect(refused.code).toBe(3);
      expect(refused.stderr).toContain(`process ${process.pid} holds ${held}`);
    }
  });
});

describe("paylode serve", () => {
  test("says where it listens, refuses a second server, and ends well on SIGTERM", async () => {
    const folder = path.join(directory, "store");
    const server = start(["serve", "--dir", folder, "--json"], { PORT: "0" });
    const stderr = collect(server.stderr);
    try {
      const [line] = (await once(server.stdout ?? server, "data")) as [Buffer];
      const { url, pid, port } = JSON.parse(String(line)) as { url: string; pid: number; port: number };
      expect({ url, pid }).toEqual({ url: `http://127.0.0.1:${port}`, pid: server.pid });
      const path1 = `${url}/v1/default/groups/g/payloads/a`;
      expect((await fetch(path1, { method: "PUT", body: "durable" })).status).toBe(200);

      mkdirSync(path.join(directory, "other"));
      const [second, taken, rebuild] = await Promise.all([
        run(["serve", "--dir", folder, "--port", "0"]),
        run(["serve", "--dir", path.join(directory, "other"), "--port", String(port)]),
        run(["rebuild", "--dir", folder]),
      ]);
      for (const refused of [second, rebuild]) {
        expect(refused.code).toBe(3);
        expect(refused.stderr).toContain(`process ${pid}, serving ${url}, holds ${folder}`);
      }
      expect(taken).toMatchObject({ code: 3 });
      expect(taken.stderr).toContain(`port ${port} on 127.0.0.1 is taken`);

      server.kill("SIGTERM");
      const [code] = (await once(server, "close")) as [number | null];
      expect({ code, stderr: String(await stderr) }).toEqual({ code: 0, stderr: "" });
    } finally {
      server.kill("SIGKILL");
    }
    const store = await openDisk({ directory: folder });
    expect(new TextDecoder().decode(await store.get({ tenant: "default", group: "g", id: "a" }))).toBe("durable");
    await store.close();
  });
});

/** The segment's file, wherever the disk adapter keeps it. */
function findFile(folder: string, segment: string): string {
  return path.join(folder, "segments", "default", `${segment}.seg`);
}
