import { execFile, execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/**
 * The package as somebody else gets it: packed by npm from what is to be committed, installed into an empty project without what
 * only development needs.
 *
 * "Are the types wrong?" is answered by the compiler, which resolves every entry the two ways its users do. The tool of that name
 * would bring 56 packages and a second TypeScript, 38 MB, to look for what a package of ES modules alone cannot get wrong.
 */
const root = path.resolve(import.meta.dirname, "..");
const bin = path.join(root, "node_modules/.bin");

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

const committed = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root })
  .toString()
  .split("\0")
  .filter((file) => file !== "");

let folder = "";
let tarball = "";
let packed: readonly Packed["files"][number][] = [];
let project = "";

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "paylode-package-"));
  const copy = path.join(folder, "copy");
  for (const file of committed) {
    if (!(await exists(path.join(root, file)))) continue;
    await mkdir(path.dirname(path.join(copy, file)), { recursive: true });
    await copyFile(path.join(root, file), path.join(copy, file));
  }
  await symlink(path.join(root, "node_modules"), path.join(copy, "node_modules"));
  // Packing runs "prepare", and so the build that a release would run.
  const [result] = JSON.parse(
    jsonIn(await run(copy, "npm", "pack", "--json", "--pack-destination", folder)),
  ) as readonly Packed[];
  tarball = path.join(folder, result?.filename ?? "");
  packed = result?.files ?? [];

  project = path.join(folder, "project");
  await mkdir(project);
  await writeFile(path.join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  // The optional dependency is a Node for hosts with an older one; this test runs on the right one already.
  await run(project, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--omit=optional", tarball);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the packed package", () => {
  test("holds what is built from the sources, and nothing else", () => {
    const sources = committed.filter((file) => /^(?:core|functions|cli|test\/conformance)\/.*\.ts$/.test(file));
    // Names that core may use without declaring them, and the generator of a document that is in the package already.
    const unbuilt = /\.d\.ts$|\.test\.ts$|^functions\/openapi\.ts$/;
    const built = sources
      .filter((file) => !unbuilt.test(file))
      .flatMap((file) => [".js", ".d.ts"].map((ending) => `dist/${file.replace(/\.ts$/, ending)}`));
    const beside = ["CHANGELOG.md", "LICENSE", "README.md", "dist/functions/openapi-packed.json", "package.json"];

    expect(packed.map((file) => file.path).toSorted()).toEqual([...beside, ...built].toSorted());
    expect(packed.filter((file) => /^dist\/test\/(?!conformance\/)|bench|\.test\./.test(file.path))).toEqual([]);
  });
});

describe("the installed package", () => {
  test("has nothing that publint objects to", async () => {
    const pkgDir = path.join(project, "node_modules/paylode");
    const manifest = JSON.parse(await readFile(path.join(pkgDir, "package.json"), "utf8")) as Record<string, unknown>;

    // Packed it is already: all that lies there is published.
    const { messages } = await publint({ pkgDir, pack: false, strict: true });

    expect(messages.map((message) => formatMessage(message, manifest) ?? message.code)).toEqual([]);
  });

  test("gives every export to Node, and keeps what it is given", async () => {
    const names = Object.keys(
      (JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as { exports: object }).exports,
    ).map((name) => path.posix.join("paylode", name));
    await writeFile(
      path.join(project, "use.js"),
      `const names = ${JSON.stringify(names)};
      for (const name of names) {
        const attributes = name.endsWith(".json") ? { with: { type: "json" } } : {};
        if (Object.keys(await import(name, attributes)).length === 0) throw new Error(name + " exports nothing");
      }
      const { openDisk } = await import("paylode/disk");
      const store = await openDisk({ directory: "data" });
      const key = { tenant: "default", group: "run-1", id: "prompt" };
      await store.append(key, new TextEncoder().encode("Where is my order?"));
      console.log(new TextDecoder().decode(await store.get(key)));
      await store.close();`,
    );

    const printed = await run(project, process.execPath, "use.js");

    expect(names).toContain("paylode/disk");
    expect(printed).toBe("Where is my order?\n");
  });

  test("hides what is not exported", async () => {
    const refused = run(project, process.execPath, "--eval", `await import("paylode/dist/core/index.js")`);

    await expect(refused).rejects.toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  test.each(["nodenext", "bundler"])(
    "has types that a strict project reads, resolved as %s does",
    async (resolution) => {
      await writeFile(
        path.join(project, "use.ts"),
        `import { openMemory, PayloadStoreError, type Location, type PayloadStore } from "paylode";
      import { openDisk, type DiskStore } from "paylode/disk";
      import { payloadStoreSuite, type PayloadStoreSuite } from "paylode/conformance";
      const store: PayloadStore = openMemory();
      const disk: DiskStore = await openDisk({ directory: "data" });
      const location: Location = await disk.append({ tenant: "t", id: 1n }, new Uint8Array(1));
      const suite: (suite: PayloadStoreSuite) => unknown = payloadStoreSuite;
      // @ts-expect-error a tenant is never left out
      await store.get({ id: "x" });
      export { location, PayloadStoreError, suite };`,
      );
      const options = {
        target: "es2024",
        // A project has AbortSignal from the DOM or from Node; both will do.
        lib: ["es2025", "dom", "esnext.disposable"],
        module: resolution === "bundler" ? "preserve" : resolution,
        moduleResolution: resolution,
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
      };
      const config = { compilerOptions: options, files: ["use.ts"] };
      await writeFile(path.join(project, "tsconfig.json"), JSON.stringify(config));

      expect(await run(project, path.join(bin, "tsc"), "--project", ".")).toBe("");
    },
  );

  test("runs its command, with the server and its document", async () => {
    const paylode = path.join(project, "node_modules/.bin/paylode");
    await writeFile(path.join(project, "file.txt"), "text");

    expect((await stat(paylode)).mode & 0o111).not.toBe(0);
    await run(project, paylode, "put", "run-2", "file", "file.txt");
    expect(await run(project, paylode, "get", "run-2", "file")).toBe("text");
    const serving = `import { serveLocal } from "./node_modules/paylode/dist/functions/local.js";
      const server = await serveLocal({ directory: "data", port: 0 });
      for (const path of ["/openapi.json", "/metrics"]) console.log((await fetch(server.url + path)).status);
      await server.close();`;
    expect(await run(project, process.execPath, "--input-type=module", "--eval", serving)).toBe("200\n200\n");
  });
});

/** Node 24 comes first, as for `npm run`; nothing else of the runner's own npm. */
async function run(cwd: string, command: string, ...args: readonly string[]): Promise<string> {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("npm_") && name !== "NODE_ENV");
  const env = { ...Object.fromEntries(kept), PATH: `${path.dirname(process.execPath)}:${process.env["PATH"] ?? ""}` };
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd, env, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`${command} ${args.join(" ")}\n${stdout}${stderr}`, { cause: error });
  }
}

/** What the scripts of a build print stands before it. */
function jsonIn(printed: string): string {
  return printed.slice(printed.search(/^\[$/m));
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
