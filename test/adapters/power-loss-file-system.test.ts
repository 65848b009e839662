import { describe, expect, test } from "vitest";
import type { OpenFile } from "../../core/adapters/disk/file-system.ts";
import { fileSystemSuite, withCode } from "../support/file-system-suite.ts";
import { PowerLossFileSystem, type PowerLossOptions } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

/**
 * The model itself: what it forgets and what it never does. A model that is too kind proves nothing about a store, and
 * one that is too harsh blames it for nothing; so each test looks for outcomes on both sides, over many seeds.
 */
fileSystemSuite("PowerLossFileSystem", () => ({ fileSystem: machine(1), root: "/" }));
fileSystemSuite("PowerLossFileSystem after a kill", () => {
  const fileSystem = machine(1);
  fileSystem.makeDirectory("/folder");
  return { fileSystem: fileSystem.kill(), root: "/folder" };
});

const sector = 512;

describe("bytes without a sync", () => {
  test("vanish, stay, stay in part, and tear within a sector", () => {
    const outcomes = outcomesOf((fileSystem) => {
      fileSystem.writeFile("/a", filled("o", 4 * sector));
      write(fileSystem.open("/a", "update"), filled("n", 4 * sector));
    }, sectorsOf("/a"));

    expect(outcomes).toContain("o o o o");
    expect(outcomes).toContain("n n n n");
    expect(outcomes).toContain("n n o o");
    expect(outcomes).toContain("o n o n");
    expect(outcomes).toContain("n no o o");
    expect(outcomes.filter((outcome) => /[^no ]|on/.test(outcome))).toEqual([]);
  });

  test("appended to a file make it longer, or not, with zeros where they are lost", () => {
    const outcomes = outcomesOf((fileSystem) => {
      fileSystem.writeFile("/a", filled("o", 100));
      write(fileSystem.open("/a", "update"), filled("n", 2 * sector - 100), 100);
    }, sectorsOf("/a"));

    expect(outcomes).toContain("o");
    expect(outcomes).toContain("on n");
    expect(outcomes).toContain("on");
    expect(outcomes).toContain("o0 n");
    expect(outcomes).toContain("o0 0");
    expect(outcomes.filter((outcome) => !/^o(?:n?0?| ?)(?: n?0?)?$/.test(outcome))).toEqual([]);
  });

  test("of several writes to a sector survive as after any of them, never a later one without an earlier", () => {
    const outcomes = outcomesOf((fileSystem) => {
      fileSystem.writeFile("/a", filled("-", 3));
      const file = fileSystem.open("/a", "update");
      for (const [offset, letter] of ["a", "b", "c"].entries()) write(file, filled(letter, 1), offset);
    }, textOf("/a"));

    expect(new Set(outcomes)).toEqual(new Set(["---", "a--", "ab-", "abc"]));
  });

  test("do not lose what an earlier sync covered", async () => {
    for (const seed of seeds) {
      const fileSystem = machine(seed);
      fileSystem.writeFile("/a", new Uint8Array(0));
      const file = fileSystem.open("/a", "update");
      write(file, filled("s", 700));
      await file.sync("frames");
      write(file, filled("u", 700), 700);

      const found = fileSystem.powerLoss().readFile("/a");

      expect(found.length).toBeGreaterThanOrEqual(700);
      expect(text(found.subarray(0, 700))).toBe("s".repeat(700));
    }
  });

  test("written while a sync is under way are not covered by it", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      fileSystem.writeFile("/a", filled("-", 2));
      const file = fileSystem.open("/a", "update");
      write(file, filled("a", 1));
      const syncing = file.sync("frames");
      write(file, filled("b", 1), 1);
      await syncing;
    }, textOf("/a"));

    expect(new Set(outcomes)).toEqual(new Set(["a-", "ab"]));
  });

  test("are not durable before their sync resolves", () => {
    const outcomes = outcomesOf((fileSystem) => {
      fileSystem.writeFile("/a", filled("-", 1));
      const file = fileSystem.open("/a", "update");
      write(file, filled("a", 1));
      void file.sync("frames");
    }, textOf("/a"));

    expect(new Set(outcomes)).toEqual(new Set(["-", "a"]));
  });

  test("are durable after two syncs at once, and after a power loss are durable for good", async () => {
    for (const seed of seeds) {
      const fileSystem = machine(seed);
      fileSystem.writeFile("/a", new Uint8Array(0));
      const file = fileSystem.open("/a", "update");
      write(file, filled("a", 600));
      await Promise.all([file.sync("frames"), file.sync("checkpoint")]);
      expect(text(fileSystem.powerLoss().readFile("/a"))).toBe("a".repeat(600));

      write(file, filled("b", 600), 600);
      const once = fileSystem.powerLoss();

      expect(text(once.powerLoss().readFile("/a"))).toBe(text(once.readFile("/a")));
    }
  });
});

describe("names without a sync of their folder", () => {
  test("vanish or stay, also those of files whose bytes are synced", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      const file = fileSystem.open("/a", "create");
      write(file, filled("a", 10));
      await file.sync("frames");
    }, textOf("/a"));

    expect(new Set(outcomes)).toEqual(new Set([missing, "a".repeat(10)]));
  });

  test("stay once the folder is synced; the bytes have a sync of their own", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      write(fileSystem.open("/a", "create"), filled("a", 10));
      await fileSystem.syncDirectory("/", "new segment");
    }, textOf("/a"));

    expect(outcomes).not.toContain(missing);
    expect(outcomes).toContain("");
    expect(outcomes).toContain("\0".repeat(10));
    expect(outcomes).toContain("a".repeat(10));
  });

  test("survive independently of each other", () => {
    const outcomes = outcomesOf((fileSystem) => {
      fileSystem.open("/a", "create");
      fileSystem.open("/b", "create");
    }, filesOf);

    expect(new Set(outcomes)).toEqual(new Set(["", "/a", "/b", "/a /b"]));
  });

  test("made while a sync of the folder is under way are not covered by it", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      fileSystem.open("/a", "create");
      const syncing = fileSystem.syncDirectory("/", "new segment");
      fileSystem.open("/b", "create");
      await syncing;
    }, filesOf);

    expect(new Set(outcomes)).toEqual(new Set(["/a", "/a /b"]));
  });

  test("vanish with the folder above them, although their own is synced", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      fileSystem.makeDirectory("/tenant");
      const file = fileSystem.open("/tenant/a", "create");
      write(file, filled("a", 1));
      await file.sync("frames");
      await fileSystem.syncDirectory("/tenant", "new segment");
    }, filesOf);

    expect(new Set(outcomes)).toEqual(new Set(["", "/tenant/a"]));
  });

  test("come back when they were taken away", async () => {
    const build = (fileSystem: PowerLossFileSystem): void => {
      fileSystem.writeFile("/a", filled("a", 1));
      fileSystem.unlink("/a");
    };

    expect(new Set(outcomesOf(build, filesOf))).toEqual(new Set(["", "/a"]));
    const synced = await outcomesAfter(async (fileSystem) => {
      build(fileSystem);
      await fileSystem.syncDirectory("/", "new segment");
    }, filesOf);
    expect(new Set(synced)).toEqual(new Set([""]));
  });

  test("keep the order of what was done to each", () => {
    const outcomes = outcomesOf(
      (fileSystem) => {
        fileSystem.writeFile("/a", filled("1", 1));
        fileSystem.unlink("/a");
        fileSystem.open("/a", "create");
        fileSystem.unlink("/a");
        fileSystem.makeDirectory("/a");
      },
      (found) => {
        const stat = found.stat("/a");
        return stat === undefined ? missing : stat.isDirectory ? "folder" : text(found.readFile("/a"));
      },
    );

    expect(new Set(outcomes)).toEqual(new Set(["1", missing, "", "folder"]));
  });
});

describe("rename", () => {
  const contents = (found: PowerLossFileSystem): string =>
    found
      .files()
      .map((file) => `${file}=${text(found.readFile(file))}`)
      .join(" ");
  const publish = async (fileSystem: PowerLossFileSystem): Promise<void> => {
    fileSystem.writeFile("/a", filled("1", 1));
    const file = fileSystem.open("/a.tmp", "create");
    write(file, filled("2", 1));
    await file.sync("store.json");
    fileSystem.rename("/a.tmp", "/a");
  };

  test("happens or not: the target has the old bytes or the new, and one of the names goes", async () => {
    const outcomes = await outcomesAfter(publish, contents);

    expect(new Set(outcomes)).toEqual(new Set(["/a=1", "/a=1 /a.tmp=2", "/a=2"]));
  });

  test("has happened once the folder is synced", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      await publish(fileSystem);
      await fileSystem.syncDirectory("/", "new store.json");
    }, contents);

    expect(new Set(outcomes)).toEqual(new Set(["/a=2"]));
  });

  test("without a sync of the bytes leaves an empty file or zeros behind, as it does on ext4 and XFS", () => {
    const outcomes = outcomesOf((fileSystem) => {
      fileSystem.writeFile("/a", filled("1", 1));
      write(fileSystem.open("/a.tmp", "create"), filled("2", 1));
      fileSystem.rename("/a.tmp", "/a");
    }, textOf("/a"));

    expect(new Set(outcomes)).toEqual(new Set(["1", "2", "", "\0"]));
  });

  test("between folders never leaves the file at both names or at none, and takes a sync of both", async () => {
    const move = (fileSystem: PowerLossFileSystem): void => {
      fileSystem.writeFile("/from/a", filled("a", 1));
      fileSystem.writeFile("/to/b", filled("b", 1));
      fileSystem.rename("/from/a", "/to/a");
    };
    const unsynced = outcomesOf(move, filesOf);
    const oneSynced = await outcomesAfter(async (fileSystem) => {
      move(fileSystem);
      await fileSystem.syncDirectory("/to", "new segment");
    }, filesOf);
    const bothSynced = await outcomesAfter(async (fileSystem) => {
      move(fileSystem);
      await fileSystem.syncDirectory("/to", "new segment");
      await fileSystem.syncDirectory("/from", "new segment");
    }, filesOf);

    expect(new Set(unsynced)).toEqual(new Set(["/from/a /to/b", "/to/a /to/b"]));
    expect(new Set(oneSynced)).toEqual(new Set(["/from/a /to/b", "/to/a /to/b"]));
    expect(new Set(bothSynced)).toEqual(new Set(["/to/a /to/b"]));
  });

  test("after rename happens in that order, and the file is at one of the names", () => {
    const outcomes = outcomesOf((fileSystem) => {
      fileSystem.writeFile("/a", filled("a", 1));
      fileSystem.rename("/a", "/b");
      fileSystem.rename("/b", "/c");
    }, filesOf);

    expect(new Set(outcomes)).toEqual(new Set(["/a", "/b", "/c"]));
  });

  test("into a folder that never came to be has not happened", () => {
    const outcomes = outcomesOf((fileSystem) => {
      fileSystem.writeFile("/a", filled("a", 1));
      fileSystem.makeDirectory("/new");
      fileSystem.rename("/a", "/new/a");
    }, filesOf);

    expect(new Set(outcomes)).toEqual(new Set(["/a", "/new/a"]));
  });

  test("made durable by a later operation on the name is durable whole", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      fileSystem.writeFile("/from/a", filled("a", 1));
      fileSystem.writeFile("/to/b", filled("b", 1));
      fileSystem.rename("/from/a", "/to/a");
      fileSystem.rename("/to/a", "/to/c");
      await fileSystem.syncDirectory("/to", "new segment");
    }, filesOf);

    expect(new Set(outcomes)).toEqual(new Set(["/to/b /to/c"]));
  });
});

describe("a sync that fails", () => {
  const failOnce = async (fileSystem: PowerLossFileSystem): Promise<OpenFile> => {
    fileSystem.writeFile("/a", filled("-", 2 * sector));
    const file = fileSystem.open("/a", "update");
    write(file, filled("x", 2 * sector));
    fileSystem.failNextSync();
    await expect(file.sync("frames")).rejects.toThrow(withCode("EIO"));
    return file;
  };

  test("poisons: the bytes can be read until the power fails, and no later sync makes them durable", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      const file = await failOnce(fileSystem);
      await file.sync("frames");
      expect(sectorsOf("/a")(fileSystem)).toBe("x x");
      expect(sectorsOf("/a")(fileSystem.kill())).toBe("x x");
    }, sectorsOf("/a"));

    expect(new Set(outcomes)).toEqual(new Set(["- -", "- x", "x -", "x x"]));
  });

  test("is made good for a sector that is written anew, and synced", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      const file = await failOnce(fileSystem);
      write(file, filled("y", 1), sector);
      await file.sync("frames");
    }, sectorsOf("/a"));

    expect(new Set(outcomes)).toEqual(new Set(["- yx", "x yx"]));
  });

  test("is not made good by a write that the later sync does not cover", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      const file = await failOnce(fileSystem);
      const syncing = file.sync("frames");
      write(file, filled("y", 1), sector);
      await syncing;
    }, sectorsOf("/a"));

    expect(outcomes).toContain("- -");
    expect(outcomes).toContain("x yx");
  });

  test("fails once, for the file or the folder it is meant for", async () => {
    const fileSystem = machine(1);
    fileSystem.failNextSync((path, reason) => path === "/b" && reason === "checkpoint");
    const a = fileSystem.open("/a", "create");
    const b = fileSystem.open("/b", "create");

    await a.sync("checkpoint");
    await b.sync("frames");
    await fileSystem.syncDirectory("/", "new segment");
    await expect(b.sync("checkpoint")).rejects.toThrow(withCode("EIO"));
    await b.sync("checkpoint");
  });

  test("of a folder leaves its names to chance, whatever is synced later, unless something is done to them anew", async () => {
    const outcomes = await outcomesAfter(async (fileSystem) => {
      fileSystem.open("/a", "create");
      fileSystem.open("/b", "create");
      fileSystem.failNextSync();
      await expect(fileSystem.syncDirectory("/", "new segment")).rejects.toThrow(withCode("EIO"));
      fileSystem.rename("/b", "/c");
      await fileSystem.syncDirectory("/", "new segment");
    }, filesOf);

    expect(new Set(outcomes)).toEqual(new Set(["/c", "/a /c"]));
  });
});

describe("ignored syncs", () => {
  test("succeed and make nothing durable, also after a power loss, and only for their reasons", async () => {
    const outcomes = await outcomesAfter(
      async (fileSystem) => {
        fileSystem.ignoreSyncs(new Set(["frames", "new segment"]));
        const next = fileSystem.powerLoss();
        for (const name of ["a", "b"]) write(next.open(`/${name}`, "create"), filled(name, 1));
        await next.open("/a", "update").sync("frames");
        await next.open("/b", "update").sync("checkpoint");
        await next.syncDirectory("/", "new segment");
        return next;
      },
      (found) => `${textOf("/a")(found)} ${textOf("/b")(found)}`,
    );

    expect(outcomes).toContain(`${missing} ${missing}`);
    expect(outcomes).toContain("\0 b");
    expect(outcomes).toContain("a b");
    expect(outcomes.filter((outcome) => outcome.endsWith("\0"))).toEqual([]);
  });
});

describe("a machine that goes on", () => {
  test("is not changed by what happens to its successors, nor they by it", async () => {
    const fileSystem = machine(1);
    fileSystem.writeFile("/a", filled("a", 3));
    const file = fileSystem.open("/a", "update");
    const successors = [fileSystem.kill(), fileSystem.clone(), fileSystem.powerLoss()];

    write(file, filled("b", 1));
    for (const [index, successor] of successors.entries()) {
      write(successor.open("/a", "update"), filled(`${index}`, 1), 1);
      successor.open(`/${index}`, "create");
    }
    write(file, filled("c", 1), 2);

    expect(text(fileSystem.readFile("/a"))).toBe("bac");
    expect(fileSystem.files()).toEqual(["/a"]);
    expect(successors.map((successor) => text(successor.readFile("/a")))).toEqual(["a0a", "a1a", "a2a"]);
  });

  test("hands on to a killed process what is unsynced, as unsynced", () => {
    const outcomes = outcomesOf((fileSystem) => {
      write(fileSystem.open("/a", "create"), filled("a", 1));
      const next = fileSystem.kill();
      expect(text(next.readFile("/a"))).toBe("a");
      return next;
    }, textOf("/a"));

    expect(new Set(outcomes)).toEqual(new Set([missing, "", "\0", "a"]));
  });

  test("keeps its locks to itself", () => {
    const fileSystem = machine(1);
    fileSystem.writeFile("/lock", new Uint8Array(0));
    expect(fileSystem.lock("/lock")).toBeDefined();

    for (const successor of [fileSystem.kill(), fileSystem.powerLoss(), fileSystem.clone()]) {
      expect(successor.lock("/lock")).toBeDefined();
      expect(successor.lock("/lock")).toBeUndefined();
    }
  });

  test("can be crashed before any of its operations", () => {
    const fileSystem = machine(1);
    const found: string[] = [];
    fileSystem.beforeOperation = (ops) => found.push(`${ops}: ${fileSystem.kill().files().join(" ")}`);

    fileSystem.open("/a", "create");
    fileSystem.rename("/a", "/b");
    fileSystem.unlink("/b");

    expect(found).toEqual(["1: ", "2: /a", "3: /b"]);
    expect(fileSystem.ops).toBe(3);
  });
});

describe("helpers of a test", () => {
  test("write and read past the model: durable at once, with the folders", () => {
    for (const seed of seeds.slice(0, 50)) {
      const fileSystem = machine(seed);
      fileSystem.makeDirectory("/a");
      write(fileSystem.open("/a/c", "create"), filled("x", 2_000));
      fileSystem.writeFile("/a/b/file", filled("1", 2));
      fileSystem.writeFile("/a/c", filled("2", 2));

      const found = fileSystem.powerLoss();

      expect(found.files()).toEqual(["/a/b/file", "/a/c"]);
      expect(text(found.readFile("/a/c"))).toBe("22");
    }
  });

  test("trace what was done, over a power loss, when asked", async () => {
    const fileSystem = machine(1, { trace: true });
    const file = fileSystem.open("/a", "create");
    write(file, filled("a", 3), 7);
    await file.sync("frames");
    const next = fileSystem.powerLoss();
    next.list("/");

    expect(next.trace).toEqual([
      "1 open /a to create",
      "2 write /a 7 + 3",
      "3 sync /a for frames",
      "… sync 3 is done",
      "— power loss",
      "1 list /",
    ]);
    expect(machine(1).trace).toEqual([]);
  });

  test("repeat themselves for a seed", () => {
    const run = (seed: number): string[] =>
      outcomesOf(
        (fileSystem) => {
          for (const name of ["/a", "/b", "/c"]) write(fileSystem.open(name, "create"), filled("a", 2_000));
          fileSystem.rename("/a", "/d");
        },
        (found) =>
          found
            .files()
            .map((file) => `${file} ${sectorsOf(file)(found)}`)
            .join(", "),
        [seed],
      );

    expect(run(7)).toEqual(run(7));
    expect(new Set([1, 2, 3, 4, 5].flatMap(run)).size).toBeGreaterThan(3);
  });

  test("let a sync take as long as a test wants, so that others begin meanwhile", async () => {
    const waiting: (() => void)[] = [];
    const slow = machine(1, {
      syncTakes: () =>
        new Promise<void>((resolve) => {
          waiting.push(resolve);
        }),
    });
    const file = slow.open("/a", "create");
    const syncs = [file.sync("frames"), slow.syncDirectory("/", "new segment")];
    expect(waiting).toHaveLength(2);
    for (const resolve of waiting) resolve();
    await Promise.all(syncs);

    const immediate = machine(1, { syncTakes: "immediate" });
    await immediate.open("/a", "create").sync("frames");
  });
});

const seeds: readonly number[] = Array.from({ length: 400 }, (_, index) => index + 1);
const missing = "(missing)";

function machine(seed: number, options: Omit<PowerLossOptions, "random"> = {}): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(seed), ...options });
}

/** What is found after a power loss, once per seed. The work may hand on another machine to lose power. */
function outcomesOf(
  work: (fileSystem: PowerLossFileSystem) => PowerLossFileSystem | void,
  look: (found: PowerLossFileSystem) => string,
  over: readonly number[] = seeds,
): string[] {
  return over.map((seed) => {
    const fileSystem = machine(seed);
    return look((work(fileSystem) ?? fileSystem).powerLoss());
  });
}

async function outcomesAfter(
  work: (fileSystem: PowerLossFileSystem) => Promise<PowerLossFileSystem | void>,
  look: (found: PowerLossFileSystem) => string,
): Promise<string[]> {
  const outcomes: string[] = [];
  for (const seed of seeds) {
    const fileSystem = machine(seed);
    outcomes.push(look(((await work(fileSystem)) ?? fileSystem).powerLoss()));
  }
  return outcomes;
}

function write(file: OpenFile, bytes: Uint8Array, offset = 0): void {
  expect(file.write([bytes], offset)).toBe(bytes.length);
}

function filled(letter: string, bytes: number): Uint8Array {
  return Buffer.alloc(bytes, letter);
}

function filesOf(found: PowerLossFileSystem): string {
  return found.files().join(" ");
}

function textOf(file: string): (found: PowerLossFileSystem) => string {
  return (found) => (found.stat(file) === undefined ? missing : text(found.readFile(file)));
}

/** The sectors of a file, each as the letters it holds in their order, `0` for zeros: "n no o" has a torn one. */
function sectorsOf(file: string): (found: PowerLossFileSystem) => string {
  return (found) =>
    (text(found.readFile(file)).match(/[^]{1,512}/g) ?? [])
      .map((letters) => letters.replaceAll("\0", "0").replaceAll(/(.)\1+/g, "$1"))
      .join(" ");
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
