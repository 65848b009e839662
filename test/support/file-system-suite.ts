import * as path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";

export interface OpenedFileSystem {
  readonly fileSystem: FileSystem;
  /** An empty folder. */
  readonly root: string;
}

/** What the disk adapter relies on in any file system: run over the machine's own and over each double. */
export function fileSystemSuite(name: string, open: () => OpenedFileSystem): void {
  describe(`${name} as a file system`, () => {
    let fileSystem: FileSystem;
    let at: (file: string) => string;
    beforeEach(() => {
      const opened = open();
      fileSystem = opened.fileSystem;
      at = (file) => path.join(opened.root, file);
    });

    const create = (file: string, text: string): void => {
      const created = fileSystem.open(at(file), "create");
      created.write([Buffer.from(text)], 0);
      created.close();
    };
    const textOf = (file: string): string => {
      const opened = fileSystem.open(at(file), "read");
      const bytes = new Uint8Array(opened.size());
      expect(opened.read(bytes, 0)).toBe(bytes.length);
      opened.close();
      return Buffer.from(bytes).toString();
    };

    describe("open", () => {
      test("to create fails with EEXIST when the file exists, and leaves it as it is", () => {
        create("a", "first");

        expect(() => fileSystem.open(at("a"), "create")).toThrow(withCode("EEXIST"));
        expect(textOf("a")).toBe("first");
      });

      test("to update or to read fails with ENOENT when there is no file", () => {
        expect(() => fileSystem.open(at("a"), "update")).toThrow(withCode("ENOENT"));
        expect(() => fileSystem.open(at("a"), "read")).toThrow(withCode("ENOENT"));
        expect(() => fileSystem.open(at("none/a"), "create")).toThrow(withCode("ENOENT"));
      });

      test("to update reads and writes what is there", () => {
        create("a", "hello");

        const file = fileSystem.open(at("a"), "update");
        file.write([Buffer.from("J")], 0);
        file.close();

        expect(textOf("a")).toBe("Jello");
      });

      test("to read refuses writes", () => {
        create("a", "hello");

        const file = fileSystem.open(at("a"), "read");

        expect(() => file.write([Buffer.from("J")], 0)).toThrow(withCode("EBADF"));
        file.close();
      });
    });

    describe("read", () => {
      test("answers fewer bytes at the end of the file, and none behind it", () => {
        create("a", "0123456789");
        const file = fileSystem.open(at("a"), "read");
        const target = Buffer.alloc(8, "-");

        expect(file.read(target, 6)).toBe(4);
        expect(target.toString()).toBe("6789----");
        expect(file.read(target, 10)).toBe(0);
        expect(file.read(target, 99)).toBe(0);
        expect(file.read(new Uint8Array(0), 0)).toBe(0);
        file.close();
      });
    });

    describe("write", () => {
      test("puts the parts one after the other at the offset", () => {
        const file = fileSystem.open(at("a"), "create");

        expect(file.write([Buffer.from("ab"), Buffer.from(""), Buffer.from("cde")], 0)).toBe(5);
        expect(file.write([Buffer.from("XY")], 4)).toBe(2);
        expect(file.write([], 0)).toBe(0);
        expect(file.size()).toBe(6);

        file.close();
        expect(textOf("a")).toBe("abcdXY");
      });

      test("behind the end leaves zeros in between", () => {
        const file = fileSystem.open(at("a"), "create");

        file.write([Buffer.from("x")], 3);

        file.close();
        expect(textOf("a")).toBe("\0\0\0x");
      });

      test("is seen by whoever has the file open", () => {
        create("a", "old");
        const reader = fileSystem.open(at("a"), "read");
        const writer = fileSystem.open(at("a"), "update");

        writer.write([Buffer.from("newer")], 0);

        const target = new Uint8Array(5);
        expect(reader.size()).toBe(5);
        expect(reader.read(target, 0)).toBe(5);
        expect(Buffer.from(target).toString()).toBe("newer");
        reader.close();
        writer.close();
      });

      test("keeps what it was given, not the array", () => {
        const bytes = Buffer.from("kept");
        const file = fileSystem.open(at("a"), "create");
        file.write([bytes], 0);

        bytes.fill("-");

        file.close();
        expect(textOf("a")).toBe("kept");
      });

      test("takes more parts than one call of the kernel does", () => {
        const parts = Array.from({ length: 3_001 }, (_, index) => Buffer.from(`${index},`));
        const file = fileSystem.open(at("a"), "create");

        const written = file.write(parts, 0);

        file.close();
        expect(textOf("a")).toBe(Buffer.concat(parts).toString());
        expect(written).toBe(Buffer.concat(parts).length);
      });
    });

    describe("sync", () => {
      test("of a file and of its folder resolves", async () => {
        const file = fileSystem.open(at("a"), "create");
        file.write([Buffer.from("a")], 0);

        await file.sync("frames");
        await fileSystem.syncDirectory(at(""), "new segment");

        file.close();
        expect(textOf("a")).toBe("a");
      });

      test("under way when the file is closed still resolves, whatever is opened meanwhile", async () => {
        const file = fileSystem.open(at("a"), "create");
        file.write([Buffer.from("a")], 0);

        const syncing = file.sync("frames");
        file.close();
        create("b", "b");

        await expect(syncing).resolves.toBeUndefined();
        expect(textOf("b")).toBe("b");
      });

      test("of a folder that is none rejects", async () => {
        create("a", "a");

        await expect(fileSystem.syncDirectory(at("none"), "new segment")).rejects.toThrow(withCode("ENOENT"));
        await expect(fileSystem.syncDirectory(at("a"), "new segment")).rejects.toThrow(withCode("ENOTDIR"));
      });
    });

    describe("close", () => {
      test("may be called twice, and everything else fails after it", async () => {
        const file = fileSystem.open(at("a"), "create");

        file.close();
        file.close();

        expect(() => file.size()).toThrow(withCode("EBADF"));
        expect(() => file.read(new Uint8Array(1), 0)).toThrow(withCode("EBADF"));
        expect(() => file.write([Buffer.from("a")], 0)).toThrow(withCode("EBADF"));
        await expect(file.sync("frames")).rejects.toThrow(withCode("EBADF"));
      });
    });

    describe("folders", () => {
      test("list the names in them, files and folders alike", () => {
        create("b", "");
        fileSystem.makeDirectory(at("a"));
        create("a/c", "");

        expect(fileSystem.list(at("")).toSorted()).toEqual(["a", "b"]);
        expect(fileSystem.list(at("a"))).toEqual(["c"]);
        expect(() => fileSystem.list(at("none"))).toThrow(withCode("ENOENT"));
      });

      test("are made once, and not without their parent", () => {
        fileSystem.makeDirectory(at("a"));

        expect(() => fileSystem.makeDirectory(at("a"))).toThrow(withCode("EEXIST"));
        expect(() => fileSystem.makeDirectory(at("none/a"))).toThrow(withCode("ENOENT"));
      });
    });

    describe("stat", () => {
      test("tells files from folders, and is undefined for neither", () => {
        create("a", "12345");
        fileSystem.makeDirectory(at("b"));

        expect(fileSystem.stat(at("a"))).toMatchObject({ bytes: 5, isDirectory: false });
        expect(fileSystem.stat(at("b"))).toMatchObject({ isDirectory: true });
        expect(fileSystem.stat(at("c"))).toBeUndefined();
        expect(fileSystem.stat(at("a/c"))).toBeUndefined();
      });
    });

    describe("rename", () => {
      test("replaces the target; who has that open still reads it", () => {
        create("old", "old");
        create("new", "new");
        const reader = fileSystem.open(at("old"), "read");

        fileSystem.rename(at("new"), at("old"));

        expect(textOf("old")).toBe("new");
        expect(fileSystem.list(at(""))).toEqual(["old"]);
        const target = new Uint8Array(3);
        expect(reader.read(target, 0)).toBe(3);
        expect(Buffer.from(target).toString()).toBe("old");
        reader.close();
      });

      test("moves a file to another folder, and a folder with what is in it", () => {
        fileSystem.makeDirectory(at("a"));
        create("file", "file");

        fileSystem.rename(at("file"), at("a/file"));
        fileSystem.rename(at("a"), at("b"));

        expect(fileSystem.list(at(""))).toEqual(["b"]);
        expect(textOf("b/file")).toBe("file");
      });

      test("fails with ENOENT when there is nothing to rename, or no folder to rename to", () => {
        create("a", "a");

        expect(() => fileSystem.rename(at("none"), at("b"))).toThrow(withCode("ENOENT"));
        expect(() => fileSystem.rename(at("a"), at("none/b"))).toThrow(withCode("ENOENT"));
        expect(textOf("a")).toBe("a");
      });
    });

    describe("unlink", () => {
      test("takes the name away; who has the file open still reads it", () => {
        create("a", "still");
        const reader = fileSystem.open(at("a"), "read");

        fileSystem.unlink(at("a"));

        expect(fileSystem.list(at(""))).toEqual([]);
        const target = new Uint8Array(5);
        expect(reader.read(target, 0)).toBe(5);
        expect(Buffer.from(target).toString()).toBe("still");
        reader.close();
      });

      test("fails with ENOENT when there is no file", () => {
        expect(() => fileSystem.unlink(at("a"))).toThrow(withCode("ENOENT"));
      });
    });

    describe("lock", () => {
      test("is refused to a second opener until it is released", () => {
        const lock = fileSystem.lock(at("lock"));

        expect(lock).toBeDefined();
        expect(fileSystem.lock(at("lock"))).toBeUndefined();
        expect(fileSystem.lock(at("lock"))).toBeUndefined();

        lock?.release();
        const next = fileSystem.lock(at("lock"));
        expect(next).toBeDefined();
        next?.release();
      });

      test("is let go once: a second release does not take it from the next holder", () => {
        const first = fileSystem.lock(at("lock"));
        first?.release();
        const second = fileSystem.lock(at("lock"));

        first?.release();

        expect(fileSystem.lock(at("lock"))).toBeUndefined();
        second?.release();
      });

      test("leaves one empty file, held or not", () => {
        const lock = fileSystem.lock(at("lock"));
        const whileHeld = fileSystem.list(at(""));
        lock?.release();

        expect(whileHeld).toEqual(["lock"]);
        expect(fileSystem.list(at(""))).toEqual(["lock"]);
        expect(fileSystem.stat(at("lock"))?.bytes).toBe(0);
      });

      test("of one file does not hinder another's", () => {
        const first = fileSystem.lock(at("one"));
        const second = fileSystem.lock(at("two"));

        expect(first).toBeDefined();
        expect(second).toBeDefined();
        first?.release();
        second?.release();
      });

      test("fails with ENOENT in a folder that is not there", () => {
        expect(() => fileSystem.lock(at("none/lock"))).toThrow(withCode("ENOENT"));
      });
    });
  });
}

export function withCode(code: string): unknown {
  return expect.objectContaining({ code });
}
