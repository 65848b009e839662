import { setImmediate } from "node:timers/promises";
import { ArrayOffsetIndex } from "../../index/array-offset-index.ts";
import { encodeCheckpoint, restoreCheckpoint } from "../../index/checkpoint.ts";
import type { Coverage } from "../../index/segment-table.ts";
import { KeyHasher } from "../../index/key-hasher.ts";
import type { Page } from "../../page/page.ts";
import { Steps } from "../../steps.ts";
import type { Digest } from "../../ports/digest.ts";
import type { CommitOutcome, PageRecord } from "../../ports/offset-index.ts";
import type { FrameReader } from "../../segment/read-frame.ts";
import { diskError } from "./disk-error.ts";
import type { FileSystem } from "./file-system.ts";
import { bytesPerTurn, ensureDirectory, readWhole, replaceFile } from "./files.ts";
import { removeIndexFiles } from "./index-files.ts";
import type { Layout } from "./layout.ts";
import { oneATurn } from "./one-a-turn.ts";

export interface DiskOffsetIndexOptions {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
  readonly reader: FrameReader;
  /** The store's secret, from `store.json`. */
  readonly secret: Uint8Array;
  /** How far a segment that this process wrote is durable. */
  readonly durable: (tenant: string, segment: string) => Coverage | undefined;
  /** Makes everything durable that was acknowledged. */
  readonly flush: () => Promise<void>;
}

/** A checkpoint is saved once so many pages, and a quarter of all pages, came since the last one. */
const pagesBetweenCheckpoints = 65_536;

/** The index in typed arrays, with its checkpoint in `index/checkpoint`. */
export class DiskOffsetIndex extends ArrayOffsetIndex {
  readonly #options: DiskOffsetIndexOptions;
  #saving: Promise<void> = Promise.resolve();
  #savedPages = 0;
  #savedChanges = 0;
  #closed = false;

  constructor(options: DiskOffsetIndexOptions) {
    const { digest, reader, secret } = options;
    super(reader, new KeyHasher(secret), (bytes) => digest.crc32(bytes), oneATurn());
    this.#options = options;
  }

  /** @returns whether there was a checkpoint; the index is as it was saved. Damage is said, and the index is then not to be used. */
  load(): { readonly kind: "loaded" | "none" } | { readonly kind: "damaged"; readonly reason: string } {
    const { fs, layout, digest, secret } = this.#options;
    const bytes = readWhole(fs, layout.checkpoint);
    if (!bytes) return { kind: "none" };
    const restored = restoreCheckpoint(this, bytes, secret, (part, seed) => digest.crc32(part, seed));
    if (!restored.ok) return { kind: "damaged", reason: restored.damage };
    this.#savedPages = this.pages.count;
    this.#savedChanges = this.changes;
    return { kind: "loaded" };
  }

  override async commit(record: PageRecord, page: Page): Promise<CommitOutcome> {
    const outcome = await super.commit(record, page);
    const since = this.pages.count - this.#savedPages;
    // A failure is no loss, and is met again at the next checkpoint, at the latest when the store is closed.
    if (since >= pagesBetweenCheckpoints && since * 4 >= this.pages.count) void this.checkpoint().catch(() => {});
    return outcome;
  }

  /** Saves the index as it is now, if anything changed. One at a time. */
  override checkpoint(): Promise<void> {
    this.#saving = this.#saving.catch(() => {}).then(() => this.#save());
    return this.#saving;
  }

  /** Resolves when nothing of it is being saved. */
  async settled(): Promise<void> {
    await this.#saving.catch(() => {});
  }

  override async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.checkpoint();
  }

  async #save(): Promise<void> {
    const { fs, layout, digest, secret } = this.#options;
    if (this.changes === this.#savedChanges && fs.stat(layout.checkpoint)) return;
    for (const { tenant, name, frames } of this.segments.all()) {
      const durable = this.#options.durable(tenant, name);
      // Frames that are durable and not yet taken in are left for the next start.
      if (durable?.frames === frames) this.segments.cover(tenant, name, durable);
    }
    const { changes } = this;
    const pages = this.pages.count;
    const encoding = encodeCheckpoint(this, secret, (part, seed) => digest.crc32(part, seed));
    // The index as it is now; what is committed while the rest is done is read from the segments, or saved the next time.
    let step = encoding.next();
    const steps = new Steps(() => setImmediate(), bytesPerTurn);
    for (; step.done !== true; step = encoding.next()) {
      const due = steps.did(step.value);
      if (due) await due;
    }
    const parts = step.value;
    if (!parts) return;
    // A checkpoint must not name a page that a power cut may still take.
    await this.#options.flush();
    try {
      await ensureDirectory(fs, layout.index, "new store folder");
      await replaceFile(fs, layout.checkpoint, parts, { file: "checkpoint", folder: "new checkpoint" });
      await this.#removeOther();
    } catch (error) {
      throw diskError(error, "saving the index failed; nothing is lost, the next start reads the segments instead");
    }
    this.#savedPages = pages;
    this.#savedChanges = changes;
  }

  /** An index on disk whose place this one has taken: a start would read its manifest before the checkpoint. */
  async #removeOther(): Promise<void> {
    const { fs, layout } = this.#options;
    if (!fs.stat(layout.runs)) return;
    const hadManifest = fs.stat(layout.manifest) !== undefined;
    removeIndexFiles(fs, layout);
    if (hadManifest) await fs.syncDirectory(layout.index, "old index");
  }
}
