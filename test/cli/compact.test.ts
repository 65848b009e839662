import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { openDiskAccess } from "../../core/entries/disk-access.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { run, type Ended } from "../support/command-line.ts";

const tenant = "default";

let directory: string;
let folder: string;
let server: LocalServer | undefined;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "paylode-compact-"));
  folder = path.join(directory, "store");
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

const paylode = (...args: readonly string[]): Promise<Ended> => run(["--dir", folder, ...args]);
const shown = ({ stdout }: Ended) => String(stdout);
const report = ({ stdout }: Ended) => JSON.parse(String(stdout)) as Record<string, unknown>;

type Store = LocalServer["store"];

/** 40 payloads of 2,000 bytes in ten groups; three of four are deleted. */
async function fill(store: Store): Promise<void> {
  for (let i = 0; i < 40; i++) await store.append({ tenant, group: `g${i >> 2}`, id: `${i}` }, noise(2000, i));
  for (let i = 0; i < 40; i++) if (i % 4 > 0) await store.delete({ tenant, group: `g${i >> 2}`, id: `${i}` });
}

async function filledFolder(): Promise<void> {
  const store = await openDisk({ directory: folder });
  await fill(store);
  await store.close();
}

function files(at: string): readonly string[] {
  return readdirSync(at, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(at, name))
    .filter((name) => statSync(name).isFile())
    .map((name) => `${name} ${readFileSync(name).toString("base64")}`)
    .toSorted();
}

describe("paylode compact on a folder", () => {
  test("tells with --dry-run what it would do, in words and units, and changes no file", async () => {
    await filledFolder();
    // What is growing is not compacted by a dry run: it is ended first.
    const store = await openDisk({ directory: folder, segmentBytesMax: 1 });
    await store.append({ tenant, group: "end", id: "a" }, noise(10, 1));
    await store.close();
    const before = files(folder);

    const [words, json] = await Promise.all([
      paylode("compact", "--dry-run"),
      paylode("compact", "--dry-run", "--json"),
    ]);

    expect(files(folder)).toEqual(before);
    expect(words).toMatchObject({ code: 0, stderr: "" });
    expect(shown(words)).toMatch(
      /^garbage: segment default\/\w{26}, [\d,]+ bytes, 20,\d{3} bytes alive\n1 segment to compact: some 20,\d{3} bytes to write again, [\d,]{6} bytes to free\nAn estimate: /,
    );
    expect(report(json)).toMatchObject({ segments: [], freed: [], plan: { segments: [{ reason: "garbage" }] } });
  });

  test("keeps what it rewrote for the grace, and with --grace 0 frees it at once", async () => {
    await filledFolder();

    const kept = await paylode("compact", "--grace", "10m");
    const freed = await paylode("compact", "--grace", "0");
    const again = await paylode("--json", "compact", "--grace", "0s");

    expect(kept).toMatchObject({ code: 0, stderr: "" });
    expect(shown(kept)).toMatch(
      /^compacted 1 segment, wrote 20,\d{3} bytes; freed 0 segments, 0 bytes; 1 segment will go once the grace is over\n$/,
    );
    expect(shown(freed)).toMatch(/^compacted 0 segments, wrote 0 bytes; freed 1 segment, \d{2},\d{3} bytes\n$/);
    expect(report(again)).toMatchObject({ complete: true, freed: [], waiting: 0 });
    const store = await openDisk({ directory: folder });
    for (let i = 0; i < 40; i++)
      expect(await store.get({ tenant, group: `g${i >> 2}`, id: `${i}` })).toEqual(
        i % 4 > 0 ? undefined : noise(2000, i),
      );
    await store.close();
  });

  test("makes no store of a folder that is none, and asks for no server where there is none", async () => {
    const ended = await Promise.all([
      paylode("compact"),
      paylode("compact", "--dry-run"),
      paylode("compact", "--pause"),
      paylode("rebuild"),
      paylode("repair"),
      paylode("stats", "--full"),
    ]);

    for (const one of ended)
      expect(one).toMatchObject({ code: 1, stderr: expect.stringContaining("there is no store at") });
    expect(existsSync(folder)).toBe(false);

    await filledFolder();
    expect(await paylode("compact", "--pause")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("no server holds"),
    });
    for (const wrong of [
      ["--grace", "soon"],
      ["--pause", "--resume"],
      ["--dry-run", "--url", "http://localhost:1"],
    ])
      expect((await paylode("compact", ...wrong)).code).toBe(2);
  });

  test("is refused beside a process that serves nothing, by its number; a plan is made all the same", async () => {
    await filledFolder();
    const store = await openDisk({ directory: folder });
    try {
      const [refused, dry, repaired] = await Promise.all([
        paylode("compact"),
        paylode("compact", "--dry-run"),
        paylode("repair", "--dry-run"),
      ]);

      expect(refused).toMatchObject({
        code: 3,
        stderr: expect.stringContaining(`process ${process.pid} holds ${folder}`),
      });
      expect(dry).toMatchObject({ code: 0, stderr: "" });
      expect(repaired).toMatchObject({ code: 0, stderr: "" });
      expect(shown(repaired)).toBe("nothing to repair\n");
    } finally {
      await store.close();
    }
  });
});

describe("paylode compact beside a server", () => {
  test("has it compact now, so that what was erased is gone", async () => {
    server = await serveLocal({ directory: folder, port: 0 });
    await fill(server.store);

    const erased = await paylode("erase", "g1");
    const [, id = ""] = /^erasure ([0-9a-f]{12}): 1 payload hidden\n/.exec(shown(erased)) ?? [];
    expect(shown(erased)).toContain(`\`paylode erasures ${id}\``);
    const kept = await paylode("compact");
    expect(shown(kept)).toMatch(/^compacted 1 segment, .* 1 segment will go once the grace is over\n$/);
    expect(shown(await paylode("erasures"))).toMatch(new RegExp(`^erasure .*\\n${id}  waiting +1  \\S+Z +-\\n$`));
    const freed = await paylode("compact", "--grace", "0", "--json");

    expect(freed).toMatchObject({ code: 0, stderr: "" });
    expect(report(freed)).toMatchObject({ complete: true, waiting: 0 });
    const receipt = await paylode("erasures", id);
    expect(receipt).toMatchObject({ code: 0, stderr: "" });
    expect(shown(receipt)).toMatch(new RegExp(`^erasure ${id}: gone: no file has any of it\\n {2}of +group g1\\n`));
    expect(shown(receipt)).toMatch(/hidden +\S+Z: 1 payload in 1 group\n {2}gone +\S+Z\nsegment +state +SHA-256/);
    expect(shown(receipt)).toMatch(/\n\w{26} +gone +[0-9a-f]{64}\n\w{26} +successor +[0-9a-f]{64}\n$/);
    expect(JSON.parse(shown(await paylode("--json", "erasures", id)))).toMatchObject({
      id,
      state: "gone",
      payloads: 1,
    });
    expect(await paylode("erasures", "000000000000")).toMatchObject({
      code: 1,
      stderr: "paylode: no erasure 000000000000\n",
    });
    expect(readdirSync(path.join(folder, "segments", tenant))).toHaveLength(1);
  });

  test("tells what had expired by its class, as the metrics do", async () => {
    const retentionMs = { defaultMs: 2, classesMs: { debug: 1, audit: 0 } };
    server = await serveLocal({ directory: folder, port: 0, retentionMs });
    const { store } = server;
    const put = (id: string, more: object) => store.append({ tenant, group: "g", id }, noise(2000, 1), more);
    await Promise.all([put("a", { retention: "debug" }), put("b", { retention: "debug" }), put("c", {})]);
    await put("d", { expiresAt: 1_700_000_000_000 });
    await put("stays", { retention: "audit" });
    // So much that the segment is compacted.
    await store.append({ tenant, group: "other", id: "a" }, noise(20_000, 2), { retention: "audit" });
    await store.delete({ tenant, group: "other", id: "a" });
    await setTimeout(5);

    const compacted = await paylode("compact");

    expect(shown(compacted)).toContain(
      "expired: 1 payload of no class, 2,000 bytes\n" +
        "expired: 1 payload with an expiry of their own, or of a class that is not known here, 2,000 bytes\n" +
        "expired: 2 payloads of class debug, 4,000 bytes\ncompacted ",
    );
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/^paylode_expired_payloads_total\{retention="debug"\} 2$/m);
    expect(metrics).toMatch(/^paylode_expired_bytes_total\{retention="_default"\} 2000$/m);
  });

  test("pauses what it does by itself, and resumes it", async () => {
    server = await serveLocal({ directory: folder, port: 0 });

    expect(await paylode("compact", "--pause")).toMatchObject({ code: 0, stderr: "" });
    expect(server.compaction.state.paused).toBe(true);
    const resumed = await paylode("compact", "--resume", "--json");

    expect(report(resumed)).toEqual({ paused: false, running: false, everySeconds: 600 });
    expect(server.compaction.state.paused).toBe(false);
  });

  test("goes on run after run where one ends early, and stops where one gets no further", async () => {
    server = await serveLocal({ directory: folder, port: 0 });
    const { compaction } = server;
    await fill(server.store);
    const whole = await server.store.compact({ graceMs: 3_600_000 });
    const [emptied] = whole.segments;
    const left = [{ ...whole, complete: false }, { ...whole, complete: false }, whole];
    const asked: unknown[] = [];
    compaction.now = async (wish) => {
      asked.push(wish);
      return left.shift() ?? { ...whole, segments: [], complete: false };
    };

    const done = report(await paylode("compact", "--grace", "7", "--json"));
    expect(asked).toEqual([{ graceMs: 7000 }, { graceMs: 7000 }, { graceMs: 7000 }]);
    expect(done).toMatchObject({ complete: true, segments: [emptied, emptied, emptied], bytesOut: 3 * whole.bytesOut });
    const stuck = await paylode("compact");

    expect(asked).toHaveLength(4);
    expect(shown(stuck)).toMatch(/; there is more to do\n$/);
  });

  test("with keys needs one with the scope admin, also by --url", async () => {
    const { keeper } = openDiskAccess(folder);
    const key = async (scope: "admin" | "write") =>
      (await keeper.create({ tenant: "acme", name: "test", scopes: [scope], quota: {} })).token;
    const [admin, writer] = [await key("admin"), await key("write")];
    server = await serveLocal({ directory: folder, port: 0 });
    const at = (where: readonly string[], token: string | undefined) =>
      run([...where, "compact"], "", token === undefined ? {} : { PAYLODE_KEY: token });

    for (const where of [
      ["--dir", folder],
      ["--url", server.url],
    ]) {
      expect(await at(where, admin)).toMatchObject({ code: 0, stderr: "" });
      expect(await at(where, writer)).toMatchObject({ code: 3, stderr: expect.stringContaining("FORBIDDEN") });
      expect(await at(where, undefined)).toMatchObject({ code: 3, stderr: expect.stringContaining("UNAUTHENTICATED") });
    }
  });
});

describe("paylode erase and erasures on a folder", () => {
  test("erase by id and by attribute, tell what is unknown, and list how far they are", async () => {
    const store = await openDisk({ directory: folder });
    const items = ["a", "b", "c"].map((id) => ({ id, bytes: noise(500, 1), attributes: { subject: `u-${id}` } }));
    await store.appendMany({ tenant, group: "g" }, items);
    await store.close();
    expect(await paylode("erasures")).toMatchObject({ code: 0, stderr: "" });

    const byId = await paylode("erase", "g", "a", "never");
    const byAttribute = await paylode("erase", "--where", "subject=u-b", "--json");

    expect(shown(byId)).toMatch(/^erasure [0-9a-f]{12}: 1 payload hidden, 1 id unknown\ntheir bytes go with the next/);
    const second = report(byAttribute);
    expect(second).toMatchObject({ state: "hidden", payloads: 1, selector: { where: { subject: "u-b" } } });
    expect(shown(await paylode("ls", "g"))).toMatch(/^id .*\nc .*\n$/);
    expect(shown(await paylode("erasures"))).toMatch(
      /^erasure +state +payloads +asked for +gone\n(?:\w{12} +hidden +1 .*\n){2}$/,
    );
    expect(shown(await paylode("erasures", String(second["id"])))).toContain("of         subject=u-b\n");
    expect(await paylode("compact", "--grace", "0")).toMatchObject({ code: 0 });
    expect(shown(await paylode("erasures"))).toMatch(/\n(?:\w{12} +gone +1 .*Z\n){2}$/);
  });

  test("are refused where nothing, or too much, is said", async () => {
    await filledFolder();

    for (const wrong of [[], ["g1", "--everything"], ["--where", "subject"], ["--from", "yesterday"]])
      expect(await paylode("erase", ...wrong)).toMatchObject({ code: 2 });
    expect(shown(await paylode("ls"))).toContain("g1 ");
  });
});

describe("paylode stats --full", () => {
  test("shows payloads and segments apart, with units, and nothing that another process alone knows", async () => {
    await filledFolder();

    const [words, json] = await Promise.all([paylode("stats", "--full"), paylode("stats", "--full", "--json")]);

    const [payloads = "", segments = ""] = shown(words).split("\n\n");
    expect(payloads).toMatch(/^payloads +10\n {2}length, as they were put +20,000 bytes\n/);
    expect(segments).toMatch(
      /^segments +1\n {2}length of their files +\d{2},\d{3} bytes\n {2}of payloads that are alive +20,\d{3} bytes\n/,
    );
    expect(segments).toMatch(/replaced by compaction +0 segments\n/);
    const labels = segments.split("\n").map((line) => line.slice(0, 29).trim());
    expect(labels.filter((label, i) => label !== "" && labels.indexOf(label) !== i)).toEqual(["length of their files"]);
    expect(shown(words)).not.toMatch(/[a-z][A-Z]|appended/);
    expect(Object.keys(report(json)["storage"] as object).toSorted()).toEqual([
      "bytes",
      "deadBytes",
      "deadShare",
      "liveBytes",
      "segments",
      "spaceAmplification",
      "supersededBytes",
      "supersededSegments",
    ]);
  });
});
