import { buildRun, type RunBuild } from "../../lsm/build-run.ts";
import type { ChangeTable } from "../../lsm/change-table.ts";
import { divideLanes } from "../../lsm/divide-lanes.ts";
import type { Lane } from "../../lsm/lane-map.ts";
import { MergeSpace } from "../../lsm/merge-space.ts";
import { decodeManifest, encodeManifest, type Manifest, type ManifestFile } from "../../lsm/manifest.ts";
import { indexDamage, Run } from "../../lsm/run.ts";
import { encodeOverlay, SavedOverlay } from "../../lsm/saved-overlay.ts";
import type { Digest } from "../../ports/digest.ts";
import { errorCode } from "./disk-error.ts";
import { listOrNothing } from "./disk-segment-store.ts";
import type { FileSync, FileSystem, OpenFile } from "./file-system.ts";
import { ensureDirectory, readWhole, removeFile, replaceFile, writeAll } from "./files.ts";
import { inSlices, type SliceClock } from "./in-slices.ts";
import type { Layout } from "./layout.ts";

export interface IndexFilesOptions {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
  readonly clock: SliceClock;
  /** The store's secret, from `store.json`. */
  readonly secret: Uint8Array;
}

interface UnnamedFile {
  readonly write: (bytes: Uint8Array) => void;
  /** Makes it durable and names it. */
  readonly end: (sync: FileSync) => Promise<ManifestFile>;
  readonly close: () => void;
}

/** What is written under this name is not complete. */
const unfinished = "unfinished.tmp";

/** The files of an on-disk index: the manifest, which is replaced as one, and those that it names. docs/format.md §12. */
export class IndexFiles {
  readonly #fs: FileSystem;
  readonly #layout: Layout;
  readonly #digest: Digest;
  readonly #clock: SliceClock;
  readonly #secret: Uint8Array;
  /** Of one index: it writes one thing at a time. */
  readonly #space = new MergeSpace();
  /** Bytes of runs written so far. */
  runBytesWritten = 0;

  constructor({ fs, layout, digest, clock, secret }: IndexFilesOptions) {
    this.#fs = fs;
    this.#clock = clock;
    this.#layout = layout;
    this.#digest = digest;
    this.#secret = secret;
  }

  readonly crc32 = (bytes: Uint8Array, seed?: number): number => this.#digest.crc32(bytes, seed);

  /** @throws {PayloadStoreError} `CORRUPT` when it is damaged */
  readManifest(): Manifest | undefined {
    const bytes = readWhole(this.#fs, this.#layout.manifest);
    if (!bytes) return undefined;
    const manifest = decodeManifest(bytes, this.#secret, this.crc32);
    if (!manifest.ok) throw indexDamage("manifest", manifest.damage);
    return manifest.value;
  }

  /** The files it names are durable, by {@link settleNames}. */
  async writeManifest(manifest: Manifest): Promise<void> {
    const bytes = encodeManifest(manifest, this.#secret, this.crc32);
    await replaceFile(this.#fs, this.#layout.manifest, bytes, { file: "index manifest", folder: "new index manifest" });
  }

  async makeFolders(): Promise<void> {
    await ensureDirectory(this.#fs, this.#layout.runs, "new store folder");
  }

  /** Makes the names of new runs, overlays and logs durable. */
  async settleNames(): Promise<void> {
    await this.#fs.syncDirectory(this.#layout.runs, "new index files");
    await this.#fs.syncDirectory(this.#layout.index, "new index files");
  }

  openRun({ sha256, bytes }: ManifestFile): Run {
    const file = this.#open(this.#layout.run(sha256), `runs/${sha256}`, bytes);
    try {
      return new Run(`runs/${sha256}`, file, bytes, this.crc32);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** @returns `undefined` when no key is left; nothing is written then. */
  async writeRun(build: Pick<RunBuild, "sources" | "bottom" | "keeps">): Promise<ManifestFile | undefined> {
    return this.#writeNamed("index run", async (write) => {
      await inSlices(buildRun({ ...build, write, crc32: this.crc32, space: this.#space }), this.#clock);
    });
  }

  /** Writes the runs of further lanes at once. @returns the run of each new lane that has keys, and how many keys moved */
  async writeDivided(
    lanes: readonly Lane[],
    into: number,
  ): Promise<{ readonly runs: readonly (ManifestFile & { readonly lane: number })[]; readonly moved: number }> {
    const files = new Map<number, UnnamedFile>();
    try {
      const dividing = divideLanes({
        lanes,
        into,
        crc32: this.crc32,
        space: this.#space,
        write: (lane, part) => {
          const file = files.get(lane) ?? this.#begin(`${lane}-${unfinished}`);
          files.set(lane, file);
          file.write(part);
        },
      });
      const moved = await inSlices(dividing, this.#clock);
      const runs: (ManifestFile & { readonly lane: number })[] = [];
      for (const [lane, file] of files) runs.push({ ...(await file.end("index run")), lane });
      return { runs, moved };
    } finally {
      for (const file of files.values()) file.close();
    }
  }

  /** Writes tables as they are; they must not change meanwhile. */
  async writeOverlay(tables: readonly ChangeTable[]): Promise<ManifestFile | undefined> {
    return this.#writeNamed("index overlay", async (write) => {
      await inSlices(encodeOverlay(tables, write, this.crc32), this.#clock);
    });
  }

  openOverlay({ sha256, bytes }: ManifestFile): SavedOverlay {
    const name = `runs/${sha256}`;
    const file = this.#open(this.#layout.run(sha256), name, bytes);
    try {
      return new SavedOverlay(name, file, bytes, this.crc32);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  openPages(name: string, bytes: number, mode: "read" | "update"): OpenFile {
    return this.#open(this.#layout.pages(name), name, bytes, mode);
  }

  createPages(name: string): OpenFile {
    return checkedReads(this.#fs.open(this.#layout.pages(name), "create"), name);
  }

  manifestBytes(): number | undefined {
    return this.#fs.stat(this.#layout.manifest)?.bytes;
  }

  /** Removes what the manifest does not name: what was replaced, and what a crash left behind. It stops after each file. */
  *collect(manifest: Manifest): Generator<void, void> {
    const named = new Set(manifest.runs.map(({ sha256 }) => sha256));
    if (manifest.overlay) named.add(manifest.overlay.sha256);
    for (const name of listOrNothing(this.#fs, this.#layout.runs)) {
      if (named.has(name)) continue;
      removeFile(this.#fs, this.#layout.run(name));
      yield;
    }
    for (const name of listOrNothing(this.#fs, this.#layout.index)) {
      if (name.startsWith("pages-") && name !== manifest.pages.file) removeFile(this.#fs, this.#layout.pages(name));
    }
  }

  async #writeNamed(
    sync: FileSync,
    fill: (write: (bytes: Uint8Array) => void) => Promise<void>,
  ): Promise<ManifestFile | undefined> {
    let file: UnnamedFile | undefined;
    try {
      await fill((part) => {
        file ??= this.#begin(unfinished);
        file.write(part);
      });
      return await file?.end(sync);
    } finally {
      file?.close();
    }
  }

  /** A file that gets its name when all of it is known. */
  #begin(name: string): UnnamedFile {
    const temporary = this.#layout.run(name);
    removeFile(this.#fs, temporary);
    const file = this.#fs.open(temporary, "create");
    const hash = this.#digest.sha256Parts();
    let bytes = 0;
    return {
      write: (part) => {
        hash.update(part);
        bytes = writeAll(file, [part], bytes);
      },
      end: async (sync) => {
        await file.sync(sync);
        file.close();
        if (sync === "index run") this.runBytesWritten += bytes;
        const sha256 = hash.end();
        this.#fs.rename(temporary, this.#layout.run(sha256));
        return { sha256, bytes };
      },
      close: () => file.close(),
    };
  }

  #open(path: string, name: string, bytes: number, mode: "read" | "update" = "read"): OpenFile {
    let file: OpenFile;
    try {
      file = this.#fs.open(path, mode);
    } catch (error) {
      if (errorCode(error) === "ENOENT") throw indexDamage(name, "is missing");
      throw error;
    }
    if (file.size() >= bytes) return checkedReads(file, name);
    file.close();
    throw indexDamage(name, `is shorter than ${bytes} bytes`);
  }
}

/** A file that cannot be read is as good as a damaged one: the index is made anew. */
function checkedReads(file: OpenFile, name: string): OpenFile {
  return {
    size: () => file.size(),
    read: (target, offset) => {
      try {
        return file.read(target, offset);
      } catch (error) {
        throw indexDamage(name, "cannot be read", error);
      }
    },
    write: (parts, offset) => file.write(parts, offset),
    sync: (reason) => file.sync(reason),
    close: () => file.close(),
  };
}

/** Removes an on-disk index, once another one has taken its place. */
export function removeIndexFiles(fs: FileSystem, layout: Layout): void {
  removeFile(fs, layout.manifest);
  for (const name of listOrNothing(fs, layout.runs)) removeFile(fs, layout.run(name));
  for (const name of listOrNothing(fs, layout.index)) if (name.startsWith("pages-")) removeFile(fs, layout.pages(name));
}
