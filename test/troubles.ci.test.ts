import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { OpenFile } from "../core/adapters/disk/file-system.ts";
import { NodeFileSystem } from "../core/adapters/disk/node-file-system.ts";
import { openDisk } from "../core/entries/disk.ts";
import { rejectsWith } from "./conformance/expectations.ts";
import { run, start, type Ended } from "./support/command-line.ts";
import { platformError } from "./support/platform-error.ts";

/**
 * The README's table "When something is wrong", row by row: the trouble is made, must look as the row says, and go away by
 * what it tells to do.
 */
const readme = readFileSync(path.resolve(import.meta.dirname, "../README.md"), "utf8");
const rows = (/## When something is wrong\n(.*?)\n## /s.exec(readme)?.[1] ?? "")
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) => line.split("|").map((cell) => cell.trim()));

/** What the row about this says to do, which must have these words: they are what is done below. */
function adviceOf(trouble: string, ...words: readonly string[]): void {
  const [row, ...others] = rows.filter(([, seen = ""]) => seen.startsWith(trouble));
  expect(others).toEqual([]);
  for (const word of words) expect(row?.[2], trouble).toContain(word);
}

let directory = "";
let folder = "";
beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), "paylode-troubles-"));
  folder = path.join(directory, "data");
  for (const [id, text] of payloads) expect(await paylode("put", "run-1", id, text)).toMatchObject({ code: 0 });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const payloads = [
  ["prompt", "where is my order?"],
  ["answer", "it is on its way"],
] as const;

/** `paylode` with the folder; of `put` the last word is what is stored. */
function paylode(...words: readonly string[]): Promise<Ended> {
  const [input = "", ...args] = words[0] === "put" ? words.toReversed() : ["", ...words.toReversed()];
  return run(["--dir", folder, ...args.toReversed()], input);
}

async function expectEverything(): Promise<void> {
  for (const [id, text] of payloads) expect(String((await paylode("get", "run-1", id)).stdout)).toBe(text);
}

/** Flips a bit in the first segment, in the bytes of the first payload. @returns its path */
function flipOne(): string {
  const tenant = path.join(folder, "segments/default");
  const file = path.join(tenant, readdirSync(tenant).toSorted()[0]!);
  const bytes = readFileSync(file);
  bytes[bytes.indexOf("where is my order?")]! ^= 1;
  writeFileSync(file, bytes);
  return file;
}

async function serving(): Promise<{
  readonly url: string;
  readonly end: (signal: "SIGKILL" | "SIGTERM") => Promise<void>;
}> {
  const child = start(["--dir", folder, "serve", "--json"], { PORT: "0" });
  const [line] = (await once(child.stdout ?? child, "data")) as [Buffer];
  const end = async (signal: "SIGKILL" | "SIGTERM") => {
    child.kill(signal);
    await once(child, "close");
  };
  return { url: (JSON.parse(String(line)) as { url: string }).url, end };
}

test("the README has a row for each trouble that is made here", () => {
  const names = rows.map(([, seen = ""]) => /^`(\w+)`/.exec(seen)?.[1]);
  expect(names).toEqual(["LOCKED", "CORRUPT", "CORRUPT", "UNAUTHENTICATED", "UNAVAILABLE"]);
});

describe("when something is wrong", () => {
  test("LOCKED: the server that holds the folder is used, or stopped; its lock goes with it", async () => {
    adviceOf("`LOCKED`", "use that server, or stop it; a lock goes with its process");
    const server = await serving();

    try {
      const refused = await rejectsWith("LOCKED", () => openDisk({ directory: folder }));
      expect(refused.message).toContain(server.url);
      await expectEverything();
    } finally {
      await server.end("SIGKILL");
    }
    await (await openDisk({ directory: folder })).close();
  });

  test("CORRUPT on a read: verify lists the place, a copy of the segment restores it", async () => {
    adviceOf(
      "`CORRUPT` on a read",
      "`paylode verify` lists every damaged place",
      "restore that segment file from a copy",
    );
    cpSync(folder, path.join(directory, "copy"), { recursive: true });
    const file = flipOne();

    expect(await paylode("get", "run-1", "prompt")).toMatchObject({ code: 3 });
    const verified = await paylode("verify");
    expect(verified.code).toBe(1);
    expect(String(verified.stdout) + verified.stderr).toContain(path.basename(file, ".seg"));
    cpSync(file.replace(folder, path.join(directory, "copy")), file);
    expect(await paylode("verify")).toMatchObject({ code: 0 });
    await expectEverything();
  });

  test("CORRUPT on a read: without a copy, repair keeps the rest", async () => {
    adviceOf("`CORRUPT` on a read", "or run `paylode repair`: [how](docs/operations.md#when-something-is-damaged)");
    flipOne();

    expect(await paylode("repair")).toMatchObject({ code: 1 });
    expect(String((await paylode("get", "run-1", "answer")).stdout)).toBe("it is on its way");
    expect(await paylode("get", "run-1", "prompt")).toMatchObject({ code: 3 });
    expect(await paylode("repair", "--accept-loss")).toMatchObject({ code: 0 });
    expect(await paylode("get", "run-1", "prompt")).toMatchObject({ code: 1 });
    expect(await paylode("verify")).toMatchObject({ code: 0 });
  });

  test("CORRUPT on opening: rebuild makes store.json and the index anew", async () => {
    adviceOf("`CORRUPT` on opening: `store.json`", "`paylode rebuild` makes it and the index anew from the segments");
    writeFileSync(path.join(folder, "store.json"), "{}");

    const refused = await paylode("ls");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain("paylode rebuild");
    expect(await paylode("rebuild")).toMatchObject({ code: 0 });
    await expectEverything();
  });

  test("UNAUTHENTICATED: PAYLODE_KEY lets in, keys list and keys create tell and make keys", async () => {
    adviceOf(
      "`UNAUTHENTICATED`",
      "set `PAYLODE_KEY`",
      "`paylode keys list` says which keys there are, `keys create` makes one",
    );
    const made = await paylode("keys", "create", "--name", "n", "--scope", "read");
    const token = String(made.stdout).trim();
    const server = await serving();
    try {
      const ls = ["--url", server.url, "ls", "run-1"];
      const refused = await run(ls);
      expect(refused).toMatchObject({ code: 3 });
      expect(refused.stderr).toContain("UNAUTHENTICATED");
      expect(await run(ls, "", { PAYLODE_KEY: token })).toMatchObject({ code: 0 });
      expect(String((await paylode("keys", "list")).stdout)).toContain(token.split("_")[2]);
    } finally {
      await server.end("SIGTERM");
    }
  });

  test("UNAVAILABLE: reads go on, and once the disk is mended a start goes on as well", async () => {
    adviceOf("`UNAVAILABLE`", "mend that, then start again; reads went on meanwhile");
    const fs = new FullDisk();
    const store = await openDisk({ directory: folder }, { fs });
    const key = { tenant: "default", group: "run-1" };
    fs.isFull = true;

    await rejectsWith("UNAVAILABLE", () => store.append({ ...key, id: "more" }, Buffer.from("more")));
    fs.isFull = false;
    await rejectsWith("UNAVAILABLE", () => store.append({ ...key, id: "more" }, Buffer.from("more")));
    expect(Buffer.from((await store.get({ ...key, id: "prompt" }))!).toString()).toBe("where is my order?");
    await store.close().catch(() => {});
    expect(await paylode("put", "run-1", "more", "more")).toMatchObject({ code: 0 });
    await expectEverything();
  });
});

/** The real disk, which has no room for segments while it is full. */
class FullDisk extends NodeFileSystem {
  isFull = false;

  override open(file: string, mode: "create" | "update" | "read", permissions?: number): OpenFile {
    const opened = super.open(file, mode, permissions);
    const write: OpenFile["write"] = (parts, offset) => {
      if (this.isFull && file.endsWith(".seg")) throw platformError("ENOSPC", "write", file);
      return opened.write(parts, offset);
    };
    return {
      size: () => opened.size(),
      read: (target, offset) => opened.read(target, offset),
      write,
      sync: (reason) => opened.sync(reason),
      close: () => opened.close(),
    };
  }
}
