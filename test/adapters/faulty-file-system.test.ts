import { describe, expect, test } from "vitest";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { type FaultPlan, faultyFileSystem } from "../support/faulty-file-system.ts";
import { fileSystemSuite, withCode } from "../support/file-system-suite.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

fileSystemSuite("faultyFileSystem without a fault", () => ({
  fileSystem: faultyFileSystem(memory(), { failAt: Infinity, how: "before" }),
  root: "/",
}));

describe("faultyFileSystem", () => {
  const steps = [
    "open /a",
    "write /a",
    "fdatasync /a",
    "read /a",
    "mkdir /d",
    "fsync /",
    "rename /a",
    "scandir /d",
    "unlink /d/a",
  ];
  /** Each step in the order above, with stat, size and close in between. */
  const work = async (fileSystem: FileSystem): Promise<void> => {
    const file = fileSystem.open("/a", "create");
    file.write([Buffer.from("hello")], 0);
    await file.sync("frames");
    file.read(new Uint8Array(file.size()), 0);
    file.close();
    fileSystem.makeDirectory("/d");
    fileSystem.stat("/d");
    await fileSystem.syncDirectory("/", "new segment");
    fileSystem.rename("/a", "/d/a");
    fileSystem.list("/d");
    fileSystem.unlink("/d/a");
    fileSystem.lock("/lock")?.release();
  };

  test("counts every call but stat, size and close", async () => {
    const counting = faultyFileSystem(memory(), { failAt: Infinity, how: "before" });

    await work(counting);

    expect(counting.steps).toBe(steps.length + 1);
    expect(counting.failed).toBeUndefined();
  });

  test.each([...steps, "lock /lock"].map((step, index) => ({ step, failAt: index + 1 })))(
    "fails step $failAt, $step, and says which it was",
    async ({ step, failAt }) => {
      for (const how of ["before", "after"] as const) {
        const faulty = faultyFileSystem(memory(), { failAt, how });

        await expect(work(faulty)).rejects.toThrow(withCode("EIO"));

        expect(faulty.failed).toBe(step);
        expect(faulty.steps).toBe(failAt);
      }
    },
  );

  test("fails before nothing is done, or after everything is", () => {
    for (const how of ["before", "after"] as const) {
      const { inner, faulty } = withFaultAt(1, how);

      expect(() => faulty.makeDirectory("/d")).toThrow(withCode("EIO"));

      expect(inner.stat("/d") !== undefined).toBe(how === "after");
    }
  });

  test("fails once", () => {
    const { faulty } = withFaultAt(1, "before");

    expect(() => faulty.makeDirectory("/d")).toThrow(withCode("EIO"));
    faulty.makeDirectory("/d");

    expect(faulty.list("/")).toEqual(["d"]);
  });

  test("syncs, or does not, and rejects", async () => {
    for (const how of ["before", "after"] as const) {
      const { inner, faulty } = withFaultAt(3, how);
      const file = faulty.open("/a", "create");
      file.write([Buffer.from("hello")], 0);
      const before = inner.ops;

      await expect(file.sync("frames")).rejects.toThrow(withCode("EIO"));

      expect(inner.ops - before).toBe(how === "after" ? 1 : 0);
    }
  });

  test("cuts a write short at half of its bytes, over parts, and answers how many", () => {
    const { inner, faulty } = withFaultAt(2, "short");
    const file = faulty.open("/a", "create");

    const written = file.write([Buffer.from("abc"), Buffer.from("defg"), Buffer.from("hij")], 0);

    expect(written).toBe(5);
    expect(Buffer.from(inner.readFile("/a")).toString()).toBe("abcde");
    expect(file.write([Buffer.from("rest")], written)).toBe(4);
  });

  test("cuts a read short at half of its bytes", () => {
    const { inner, faulty } = withFaultAt(2, "short");
    inner.writeFile("/a", Buffer.from("hello"));
    const file = faulty.open("/a", "read");
    const target = Buffer.alloc(4, "-");

    expect(file.read(target, 0)).toBe(2);
    expect(target.toString()).toBe("he--");
    expect(file.read(target, 0)).toBe(4);
  });

  test("fails a step that cannot be cut short before it is done", () => {
    const { inner, faulty } = withFaultAt(1, "short");

    expect(() => faulty.makeDirectory("/d")).toThrow(withCode("EIO"));
    expect(inner.stat("/d")).toBeUndefined();
  });

  test("says that there is no space only where space is taken", () => {
    const plan = { failAt: 1, how: "before", code: "ENOSPC" } as const;

    expect(() => faultyFileSystem(memory(), plan).open("/a", "create")).toThrow(withCode("ENOSPC"));
    expect(() => faultyFileSystem(memory(), plan).makeDirectory("/d")).toThrow(withCode("ENOSPC"));
    expect(() => faultyFileSystem(memory(), plan).list("/")).toThrow(withCode("EIO"));
  });

  test("holds no lock after it failed to take one", () => {
    for (const how of ["before", "after", "short"] as const) {
      const { faulty } = withFaultAt(1, how);

      expect(() => faulty.lock("/lock")).toThrow(withCode("EIO"));

      expect(faulty.lock("/lock")).toBeDefined();
    }
  });
});

function memory(): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(1) });
}

function withFaultAt(failAt: number, how: FaultPlan["how"]): { inner: PowerLossFileSystem; faulty: FileSystem } {
  const inner = memory();
  return { inner, faulty: faultyFileSystem(inner, { failAt, how }) };
}
