import type { Coverage } from "../../index/segment-table.ts";
import { KeyHasher } from "../../index/key-hasher.ts";
import { ChangeTable } from "../../lsm/change-table.ts";
import type { RunBuild } from "../../lsm/build-run.ts";
import { HashOffsetIndex } from "../../lsm/hash-offset-index.ts";
import { changesMax, lanesMax, levels, sizeRatio, type IndexBounds } from "../../lsm/index-bounds.ts";
import { setAside, takeBack, type Lane } from "../../lsm/lane-map.ts";
import type { Manifest, ManifestRun } from "../../lsm/manifest.ts";
import { overlaySource } from "../../lsm/overlay-source.ts";
import { pageRecordBytes } from "../../lsm/page-log.ts";
import { isIndexDamage, type Run } from "../../lsm/run.ts";
import type { SavedOverlay } from "../../lsm/saved-overlay.ts";
import type { EntryPlace, Page } from "../../page/page.ts";
import type { CommitOutcome, PageRecord } from "../../ports/offset-index.ts";
import type { Random } from "../../ports/random.ts";
import { hex } from "../../bytes.ts";
import type { FrameReader } from "../../segment/read-frame.ts";
import { setImmediate } from "node:timers/promises";
import { diskError } from "./disk-error.ts";
import { oneATurn } from "./one-a-turn.ts";
import type { OpenFile } from "./file-system.ts";
import { writeAll } from "./files.ts";
import type { IndexGrowth } from "./index-growth.ts";
import { inSlices } from "./in-slices.ts";
import { IndexFiles, type IndexFilesOptions } from "./index-files.ts";

export interface DiskHashIndexOptions extends IndexFilesOptions {
  readonly reader: FrameReader;
  readonly random: Random;
  readonly bounds: IndexBounds;
  /** Never writes. */
  readonly readOnly: boolean;
  /** How far a segment that this process wrote is durable. */
  readonly durable: (tenant: string, segment: string) => Coverage | undefined;
  /** Makes everything durable that was acknowledged. */
  readonly flush: () => Promise<void>;
  /** Stops all writes: the index has no room for what they change. */
  readonly stop: (error: unknown) => void;
  /** A file of the index is damaged: look-ups that meet it fail until the index is made anew. */
  readonly onDamage: () => void;
  readonly onGrowth: (growth: IndexGrowth) => void;
}

/** Pages that make the index save itself, however few keys they change: a start after a crash reads what came since. */
const pagesBetweenSaves = 65_536;

/** Parts of the log of pages that are written in one turn of the event loop, of 36 KiB each. */
const recordPartsAtOnce = 8;

/** Keys that a save takes in during one turn of the event loop, about: 2 ms of them. */
const keysPerTurn = 2048;

/**
 * The on-disk index in its files. Changes gather in memory; once a lane has enough of them, it and those that are nearly
 * as full are merged into runs, the others are saved as they are, and a new manifest says so. All of it happens beside
 * the commits, in slices of some milliseconds. What is not saved comes back from the segments.
 *
 * Memory: 11 bits a key, and the changes: at most twice `laneChangesMax` a lane. When they cannot be written, commits
 * wait, and then the store stops writing.
 */
export class DiskHashIndex extends HashOffsetIndex {
  readonly #options: DiskHashIndexOptions;
  readonly files: IndexFiles;
  #saving: Promise<void> = Promise.resolve();
  #isSaving = false;
  #saved: Manifest | undefined;
  #savedChanges = -1;
  /** Keys that the save under way has still to take in, and how many of them are due before commits go on. */
  #keysToSave = 0;
  #keysDue = 0;
  /** Room for changes that shall be left once that is done: an eighth of what there was. */
  #roomToLeave = 0;
  readonly #underWay: { isCommit: boolean };
  /** Changes in memory at which a save that failed is tried again without being asked. */
  #retryAt = 0;
  #savedOverlay: SavedOverlay | undefined;
  #pagesFile: OpenFile | undefined;
  #pagesName: string | undefined;
  #reported = 0;
  #retired = false;
  #closed = false;

  constructor(options: DiskHashIndexOptions) {
    const { bounds, reader, secret } = options;
    const underWay = { isCommit: false };
    const clock = { nowMs: () => options.clock.nowMs(), isAwaited: () => underWay.isCommit };
    const files = new IndexFiles({ ...options, clock });
    const hasher = new KeyHasher(secret);
    super({ lanes: bounds.lanes, reader, secret, hasher, crc32: files.crc32, pause: oneATurn() });
    this.#options = options;
    this.#underWay = underWay;
    this.files = files;
  }

  /** The generation that was read or written last; 0 before the first. */
  get generation(): number {
    return this.#saved?.generation ?? 0;
  }

  /** @returns whether there was a manifest; the index is as it was saved. Damage is said, and the index is then not to be used. */
  load(): { readonly kind: "loaded" | "none" } | { readonly kind: "damaged"; readonly reason: string } {
    for (let generation = -1; ;) {
      let manifest: Manifest | undefined;
      try {
        manifest = this.files.readManifest();
        if (!manifest) return { kind: "none" };
        this.#restore(manifest);
        return { kind: "loaded" };
      } catch (error) {
        this.letGo();
        if (!isIndexDamage(error)) throw error;
        // A reader may have met files that the writer replaced meanwhile.
        if (!this.#options.readOnly || !manifest || manifest.generation === generation)
          return { kind: "damaged", reason: error.message };
        generation = manifest.generation;
      }
    }
  }

  override prepare(tenant: string, group: string, page: Page, places: readonly EntryPlace[]): void {
    this.#underWay.isCommit = true;
    super.prepare(tenant, group, page, places);
  }

  override async commit(record: PageRecord, page: Page): Promise<CommitOutcome> {
    this.#underWay.isCommit = false;
    const outcome = await super.commit(record, page);
    this.#saveInTime();
    await this.makeRoom(page.entries.length + page.deleted.length);
    return outcome;
  }

  override async replay(record: PageRecord, page: Page): Promise<"taken in" | "known"> {
    const outcome = await super.replay(record, page);
    this.#saveInTime();
    await this.makeRoom(page.entries.length + page.deleted.length);
    return outcome;
  }

  /** Saves the index as it is now, if anything changed. One at a time. */
  override checkpoint(): Promise<void> {
    if (this.#options.readOnly || this.#retired) return Promise.resolve();
    this.#saving = this.#saving
      .catch(() => {})
      .then(async () => {
        this.#isSaving = true;
        try {
          await this.#save();
          if (this.#keysPerLane() > this.#options.bounds.laneKeysMax) await this.#divideLanes();
        } finally {
          this.#isSaving = false;
          this.#keysToSave = 0;
          this.#keysDue = 0;
        }
      });
    return this.#saving;
  }

  override async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.checkpoint();
    } finally {
      this.letGo();
    }
  }

  /** Never saves again: another index takes this one's place. It still answers. */
  async retire(): Promise<void> {
    this.#retired = true;
    await this.#saving.catch(() => {});
  }

  /** Closes the files. */
  letGo(): void {
    this.#pagesFile?.close();
    this.#pagesFile = undefined;
    this.#savedOverlay?.close();
    this.#savedOverlay = undefined;
    for (const { runs } of this.map.lanes) for (const run of runs) run?.close();
  }

  /** Bytes in memory that grow with the keys, bytes of the files, and keys, which overwritten ones are counted in. */
  measure(): { readonly memoryBytes: number; readonly diskBytes: number; readonly keys: number } {
    let memoryBytes = 0;
    let keys = this.map.changes;
    for (const { runs } of this.map.lanes) {
      for (const run of runs) {
        memoryBytes += run?.residentBytes ?? 0;
        keys += run?.keys ?? 0;
      }
    }
    const files = [...(this.#saved?.runs ?? []), ...(this.#saved?.overlay ? [this.#saved.overlay] : [])];
    const diskBytes = files.reduce((sum, { bytes }) => sum + bytes, this.log.written * pageRecordBytes);
    // A changed key takes 16 bytes of a slot, and slots are between three eighths and three quarters full.
    return { memoryBytes: memoryBytes + this.map.changes * 32, diskBytes, keys };
  }

  #saveInTime(): void {
    if (this.#isSaving || this.#options.readOnly || this.#retired || this.#closed) return;
    const { laneChangesMax } = this.#options.bounds;
    const isFull = this.map.lanes.some(({ overlay }) => overlay.size >= laneChangesMax);
    if (!isFull && this.log.count - this.log.written < pagesBetweenSaves) return;
    if (this.map.changes < this.#retryAt) return;
    // A failure is no loss, and is met again at the next one, at the latest when there is no room left.
    void this.checkpoint().catch((error: unknown) => {
      if (isIndexDamage(error)) this.#options.onDamage();
    });
  }

  /** Changes that there is room for. */
  #room(): number {
    return changesMax(this.#options.bounds, this.map.lanes.length) - this.map.changes;
  }

  /**
   * Keeps the changes in memory within their bound; without that they would have none. While the index is being saved,
   * each commit first lets as much of that be done as its share of the room that is left, but for an eighth, beside what is done
   * while commits wait for the disk: so no commit has to wait for all of it. Where there is no room, it waits.
   */
  async makeRoom(changes: number): Promise<void> {
    if (this.#options.readOnly) return;
    if (this.#isSaving) {
      const share = (changes + 1) / Math.max(1, this.#room() - this.#roomToLeave);
      for (this.#keysDue += this.#keysToSave * share; this.#keysDue >= keysPerTurn && this.#isSaving;) {
        this.#keysDue -= keysPerTurn;
        await setImmediate();
      }
    }
    if (this.#room() > 0) return;
    await this.#saving.catch(() => {});
    if (this.#room() > 0) return;
    await this.checkpoint().catch((error: unknown) => {
      if (isIndexDamage(error)) this.#options.onDamage();
      else this.#options.stop(error);
    });
  }

  #restore(manifest: Manifest): void {
    const { runs, overlay, pages, moved, segments, totals, damage } = manifest;
    const lanes = Array.from({ length: manifest.lanes }, newLevels);
    try {
      for (const run of runs) lanes[run.lane]![run.level] = this.files.openRun(run);
      const mode = this.#options.readOnly ? "read" : "update";
      this.#pagesFile = this.files.openPages(pages.file, pages.count * pageRecordBytes, mode);
    } catch (error) {
      for (const run of lanes.flat()) run?.close();
      throw error;
    }
    this.map.divide(lanes);
    if (overlay) {
      this.#savedOverlay = this.files.openOverlay(overlay);
      this.map.takeOverlays(this.#savedOverlay.tables);
    }
    this.log.open(this.#pagesFile, pages.count, moved);
    this.segments.restore(segments);
    this.tenantTotals.restore(totals);
    for (const note of damage) this.damageNotes.add(note);
    this.hidesUnread = manifest.hidesUnread;
    for (const key of manifest.sharedKeys) this.sharedKeys.add(key);
    this.#reported = manifest.reported;
    this.#saved = manifest;
    this.#savedChanges = this.changes;
    if (!this.#options.readOnly) for (const _ of this.files.collect(manifest));
  }

  async #save(): Promise<void> {
    if (this.changes === this.#savedChanges && this.files.manifestBytes() !== undefined) return;
    // From here to the first wait the index stands still: what is saved is one state of it.
    const { changes } = this;
    const { lanes } = this.map;
    const state = this.#state();
    const replaced: { readonly lane: Lane; readonly level: number; readonly run: Run | undefined }[] = [];
    try {
      const written = this.#setAside();
      const pages = this.log.unwritten(state.pages.count);
      // The index must not name a page that a power cut may still take.
      await this.#options.flush();
      await this.files.makeFolders();
      const pagesFile = await this.#writePages(state.pages.file, pages);
      const runs = new Map((this.#saved?.runs ?? []).map((run) => [`${run.lane} ${run.level}`, run]));
      const plans = [...written].map((number) => this.#plan(number));
      this.#keysToSave = plans.reduce((sum, { keys }) => sum + keys, 0);
      this.#roomToLeave = this.#room() / 8;
      for (const plan of plans) {
        const { number, level, keys } = plan;
        const run = await this.files.writeRun(this.#merge(plan));
        for (let above = 0; above <= level; above++) runs.delete(`${number} ${above}`);
        if (run) runs.set(`${number} ${level}`, { ...run, lane: number, level } satisfies ManifestRun);
        const opened = run && this.files.openRun(run);
        replaced.push({ lane: lanes[number]!, level, run: opened });
        if (opened) await inSlices(opened.readAhead(), this.#options.clock);
        this.#keysToSave -= keys;
      }
      const kept = lanes.map(({ writing }, number) => (written.has(number) ? undefined : writing) ?? new ChangeTable());
      const overlay = kept.some(({ size }) => size > 0) ? await this.files.writeOverlay(kept) : undefined;
      await this.files.settleNames();
      const manifest = { ...state, overlay, runs: [...runs.values()] };
      await this.files.writeManifest(manifest);

      for (const { lane, level, run } of replaced.splice(0)) {
        for (let above = 0; above <= level; above++) lane.runs[above]?.close();
        lane.runs.fill(undefined, 0, level);
        lane.runs[level] = run;
        lane.writing = undefined;
      }
      this.log.wrote(pagesFile, state.pages.count);
      this.#saved = manifest;
      this.#savedChanges = changes;
      this.#retryAt = 0;
      await this.#takeBack();
      for (const _ of this.files.collect(manifest)) await setImmediate();
    } catch (error) {
      for (const { run } of replaced) run?.close();
      await this.#takeBack();
      if (isIndexDamage(error)) throw error;
      this.#retryAt = this.map.changes + this.#options.bounds.laneChangesMax;
      throw diskError(error, "saving the index failed; nothing is lost, the next start reads the segments instead");
    }
    this.#reportGrowth();
  }

  /** What was put aside and is in no run comes back, a lane at a time. */
  async #takeBack(): Promise<void> {
    for (const lane of this.map.lanes) {
      if (!lane.writing) continue;
      takeBack(lane);
      await setImmediate();
    }
  }

  #keysPerLane(): number {
    const { lanes } = this.map;
    return (
      lanes.reduce((sum, { runs }) => sum + runs.reduce((all, run) => all + (run?.keys ?? 0), 0), 0) / lanes.length
    );
  }

  /** Doubles the lanes: their share of the keys moves to new ones, beside the commits. */
  async #divideLanes(): Promise<void> {
    const { lanes } = this.map;
    const into = lanes.length * 2;
    const saved = this.#saved;
    if (into > lanesMax || !saved) return;
    const opened: Run[] = [];
    try {
      this.#keysToSave = this.#keysPerLane() * lanes.length;
      this.#roomToLeave = this.#room() / 8;
      const { runs } = await this.files.writeDivided(lanes, into);
      await this.files.settleNames();
      const level = levels - 1;
      const manifest = {
        ...saved,
        generation: saved.generation + 1,
        lanes: into,
        runs: [...saved.runs, ...runs.map((run) => ({ ...run, level }))],
      };
      const divided = Array.from({ length: into }, (_, i) => [...(lanes[i]?.runs ?? newLevels())]);
      for (const run of runs) {
        const file = this.files.openRun(run);
        opened.push(file);
        divided[run.lane]![level] = file;
        await inSlices(file.readAhead(), this.#options.clock);
        await setImmediate();
      }
      await inSlices(this.map.prepareDivision(into), this.#options.clock);
      await this.files.writeManifest(manifest);
      this.map.divide(divided);
      this.#saved = manifest;
    } catch (error) {
      this.map.stayUndivided();
      for (const run of opened) run.close();
      if (isIndexDamage(error)) throw error;
      throw diskError(error, "dividing the lanes of the index failed; nothing is lost, and it is tried again");
    }
  }

  /** What the manifest will say of this moment, but for the runs and the overlay. */
  #state(): Omit<Manifest, "runs" | "overlay"> {
    this.#pagesName ??= this.#saved?.pages.file ?? `pages-${hex(this.#options.random.bytes(8))}`;
    for (const { tenant, name, frames } of this.segments.all()) {
      const durable = this.#options.durable(tenant, name);
      // Frames that are durable and not yet taken in are left for the next start.
      if (durable?.frames === frames) this.segments.cover(tenant, name, durable);
    }
    return {
      generation: this.generation + 1,
      lanes: this.map.lanes.length,
      pages: {
        file: this.#pagesName,
        count: this.log.count,
      },
      moved: this.log.moved(),
      hidesUnread: this.hidesUnread,
      sharedKeys: [...this.sharedKeys],
      reported: Math.max(this.#reported, this.#growthReached()),
      segments: this.segments.copy(),
      totals: this.tenantTotals.entries(),
      damage: this.damageNotes.all(),
    };
  }

  /**
   * Puts all changes aside. @returns the lanes of which they are to be merged into runs: once one has enough of them, all
   * that are nearly as full
   */
  #setAside(): Set<number> {
    const { laneChangesMax } = this.#options.bounds;
    const { lanes } = this.map;
    for (const lane of lanes) {
      // Where damage was met before that could be done.
      takeBack(lane);
      setAside(lane);
    }
    const sizes = lanes.map(({ writing }) => writing?.size ?? 0);
    if (!sizes.some((size) => size >= laneChangesMax)) return new Set();
    return new Set([...sizes.keys()].filter((number) => sizes[number]! * 2 >= laneChangesMax));
  }

  async #writePages(name: string, records: readonly Uint8Array[]): Promise<OpenFile> {
    this.#pagesFile ??= this.files.createPages(name);
    const file = this.#pagesFile;
    if (records.length > 0) {
      let at = this.log.written * pageRecordBytes;
      for (let from = 0; from < records.length; from += recordPartsAtOnce) {
        if (from > 0) await setImmediate();
        at = writeAll(file, records.slice(from, from + recordPartsAtOnce), at);
      }
      await file.sync("index pages");
    }
    return file;
  }

  /** How far down a lane's changes are merged: to the first level that has room for them and for what is above. */
  #plan(number: number): LanePlan {
    const { runs, writing } = this.map.lanes[number]!;
    let keys = writing?.size ?? 0;
    let level = 0;
    for (; level < runs.length; level++) {
      keys += runs[level]?.keys ?? 0;
      if (keys <= this.#levelKeysMax(level, number)) break;
    }
    return { number, level: Math.min(level, runs.length - 1), keys };
  }

  #merge({ number, level }: LanePlan): Pick<RunBuild, "sources" | "bottom" | "keeps"> {
    const { lanes } = this.map;
    const { runs, writing } = lanes[number]!;
    const merged = runs.slice(0, level + 1).flatMap((run) => run ?? []);
    const sources = [...merged.toReversed(), ...(writing ? [overlaySource(writing)] : [])];
    const bottom = runs.slice(level + 1).every((run) => run === undefined);
    // Where lanes were divided, older runs have keys that belong to another lane now.
    const keeps =
      lanes.length > this.#options.bounds.lanes
        ? (key0: number, key1: number) => this.map.laneOf(key0, key1) === number
        : undefined;
    return { sources, bottom, keeps };
  }

  /** Lanes differ, so that they do not all reach the next level at once. */
  #levelKeysMax(level: number, lane: number): number {
    const { level0KeysMax } = this.#options.bounds;
    return level0KeysMax * sizeRatio ** level * (0.75 + (lane % 8) / 16);
  }

  /** The last number of payloads that is reported and that the store has reached; 0 for none. */
  #growthReached(): number {
    const payloads = this.tenantTotals.entries().reduce((sum, [, totals]) => sum + totals.payloads, 0);
    return this.#options.bounds.reportedAt.findLast((step) => payloads >= step) ?? 0;
  }

  #reportGrowth(): void {
    const reached = this.#saved?.reported ?? 0;
    if (reached <= this.#reported) return;
    this.#reported = reached;
    const { memoryBytes, diskBytes } = this.measure();
    this.#options.onGrowth({ kind: "index-growth", payloads: reached, memoryBytes, diskBytes });
  }
}

/** The run that a lane's changes go to. */
interface LanePlan {
  readonly number: number;
  readonly level: number;
  /** Of all that is merged. */
  readonly keys: number;
}

function newLevels(): (Run | undefined)[] {
  return Array.from({ length: levels }, () => undefined);
}
