import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";
import { fileSystemSuite, withCode } from "../support/file-system-suite.ts";

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(path.join(tmpdir(), "paylode-files-"));
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

fileSystemSuite("NodeFileSystem", () => ({ fileSystem: new NodeFileSystem(), root }));

describe("NodeFileSystem", () => {
  const fileSystem = new NodeFileSystem();

  test("writes in one call what is larger than a pipe or a page ever is", () => {
    const bytes = new Uint8Array(8 * 1024 * 1024).map((_, index) => index % 251);
    const file = fileSystem.open(path.join(root, "a"), "create");

    expect(file.write([bytes, bytes], 0)).toBe(2 * bytes.length);

    const target = new Uint8Array(2 * bytes.length);
    expect(file.read(target, 0)).toBe(target.length);
    expect(Buffer.compare(target.subarray(bytes.length), bytes)).toBe(0);
    file.close();
  });

  test("tells the time of the last change in milliseconds since 1970", () => {
    const before = Date.now();
    fileSystem.open(path.join(root, "a"), "create").close();

    // The kernel stamps files with the time of its last tick, which may lie up to 10 ms back.
    expect(fileSystem.stat(path.join(root, "a"))?.changedMs).toBeGreaterThan(before - 100);
    expect(fileSystem.stat(path.join(root, "a"))?.changedMs).toBeLessThan(Date.now() + 100);
  });

  // Where there is no /proc, descriptors cannot be listed.
  test.skipIf(!fs.existsSync("/proc/self/fd"))(
    "leaves no descriptor open, also when a file is closed during its sync",
    async () => {
      const open = (): number => fs.readdirSync("/proc/self/fd").length;
      const before = open();

      for (let round = 0; round < 5; round += 1) {
        const file = fileSystem.open(path.join(root, `${round}`), "create");
        const syncs = [file.sync("frames"), file.sync("frames")];
        file.close();
        await Promise.all(syncs);
        await fileSystem.syncDirectory(root, "new segment");
        await expect(fileSystem.syncDirectory(path.join(root, "none"), "new segment")).rejects.toThrow("ENOENT");
      }

      expect(open()).toBe(before);
    },
  );
});

describe("NodeFileSystem.lock", () => {
  const fileSystem = new NodeFileSystem();

  test("is refused while another process holds it, and free when that has released it", async () => {
    const file = path.join(root, "lock");
    await using holder = await startHolder(file);

    expect(holder.said).toBe("locked");
    expect(fileSystem.lock(file)).toBeUndefined();

    expect(await holder.tellToGoOn()).toBe("released");
    const lock = fileSystem.lock(file);
    expect(lock).toBeDefined();
    lock?.release();
  });

  test("is refused to another process while this one holds it", async () => {
    const file = path.join(root, "lock");
    const lock = fileSystem.lock(file);

    await using other = await startHolder(file);

    expect(other.said).toBe("refused");
    lock?.release();
  });

  test("is free again, and leaves no journal, when its holder is killed", async () => {
    const file = path.join(root, "lock");
    await using holder = await startHolder(file);
    expect(fileSystem.lock(file)).toBeUndefined();

    await holder.kill();

    const lock = fileSystem.lock(file);
    expect(lock).toBeDefined();
    expect(fs.readdirSync(root)).toEqual(["lock"]);
    lock?.release();
  });

  test("is refused to a link to the same file", () => {
    const file = path.join(root, "lock");
    const lock = fileSystem.lock(file);
    fs.symlinkSync(file, path.join(root, "symbolic"));

    expect(fileSystem.lock(path.join(root, "symbolic"))).toBeUndefined();
    lock?.release();
  });

  test("is refused to a worker thread of the same process, and goes with the thread that held it", async () => {
    const file = path.join(root, "lock");
    const adapter = new URL("../../core/adapters/disk/node-file-system.ts", import.meta.url).href;
    const source = `
      import { parentPort } from "node:worker_threads";
      const { NodeFileSystem } = await import(${JSON.stringify(adapter)});
      parentPort.on("message", () => {
        parentPort.postMessage(new NodeFileSystem().lock(${JSON.stringify(file)}) === undefined ? "refused" : "locked");
      });
    `;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    const ask = async (): Promise<unknown> => {
      worker.postMessage("lock");
      const [said] = (await once(worker, "message")) as unknown[];
      return said;
    };

    const lock = fileSystem.lock(file);
    expect(await ask()).toBe("refused");
    lock?.release();
    expect(await ask()).toBe("locked");
    expect(fileSystem.lock(file)).toBeUndefined();
    await worker.terminate();

    const next = fileSystem.lock(file);
    expect(next).toBeDefined();
    next?.release();
  });

  test("is held on when nothing refers to it any more", async () => {
    const file = path.join(root, "lock");
    setFlagsFromString("--expose_gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    expect(fileSystem.lock(file)).toBeDefined();

    for (let round = 0; round < 3; round += 1) {
      collectGarbage();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }

    expect(fileSystem.lock(file)).toBeUndefined();
  });

  test("takes a path for a path, whatever is in it", () => {
    const names = ["a?mode=memory", "b#c", "d%20e", "ключ ☂"];

    const locks = names.map((name) => fileSystem.lock(path.join(root, name)));

    expect(locks).not.toContain(undefined);
    expect(fs.readdirSync(root).toSorted()).toEqual(names.toSorted());
    for (const lock of locks) lock?.release();
  });

  // The superuser may write to any file.
  test.skipIf(process.getuid?.() === 0)("throws where the file may only be read, instead of sharing the lock", () => {
    const file = path.join(root, "lock");
    fs.writeFileSync(file, "", { mode: 0o444 });

    expect(() => fileSystem.lock(file)).toThrow(withCode("EACCES"));
  });

  test("throws when the file is something else", () => {
    fs.writeFileSync(path.join(root, "other"), "something else ".repeat(100));

    expect(() => fileSystem.lock(path.join(root, "other"))).toThrow("not a database");
    expect(() => fileSystem.lock(root)).toThrow("unable to open");
  });

  test("prints no warning, and swallows none", async () => {
    const adapter = new URL("../../core/adapters/disk/node-file-system.ts", import.meta.url).href;
    const source = `
      const { NodeFileSystem } = await import(${JSON.stringify(adapter)});
      const { emitWarning } = process;
      new NodeFileSystem().lock(${JSON.stringify(path.join(root, "lock"))}).release();
      if (process.emitWarning !== emitWarning) throw new Error("emitWarning was not put back");
      process.emitWarning("another experiment", "ExperimentalWarning");
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let printed = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });

    const [code] = (await once(child, "close")) as unknown[];

    expect(code).toBe(0);
    expect(printed).not.toMatch(/sqlite/i);
    expect(printed).toMatch("another experiment");
  });
});

interface Holder extends AsyncDisposable {
  readonly said: string;
  tellToGoOn(): Promise<string>;
  kill(): Promise<void>;
}

async function startHolder(file: string): Promise<Holder> {
  const program = path.join(import.meta.dirname, "../support/lock-holder.ts");
  const child = spawn(process.execPath, [program, file], { stdio: ["pipe", "pipe", "inherit"] });
  const said = await nextLine(child);
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return {
    said,
    async tellToGoOn() {
      child.stdin.write("go on\n");
      return nextLine(child);
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

async function nextLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("the child has no standard output");
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return line.toString().trim();
}
