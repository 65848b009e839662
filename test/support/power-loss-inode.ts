/** What a disk writes as one: smaller than a page of the cache, so that a tear falls in more places. */
export const sectorBytes = 512;

/** One sector of one write that no sync has made durable. */
interface SectorWrite {
  readonly sector: number;
  /** What the sector held before the write, cut at the end of the file. */
  readonly before: Uint8Array;
  readonly order: number;
  /** Its sync failed: the cache takes it for written, so no later sync writes it, but the disk may not hold it. */
  readonly failed: boolean;
}

/** How far a sync that begins now reaches: a write that comes while it is under way is not its affair. */
export interface SyncPoint {
  readonly order: number;
  readonly length: number;
}

/**
 * The contents of one file: what a reader sees (the page cache), and how to go back from there to what the disk holds.
 *
 * Of a sector that was written several times the disk may hold the state after any of the writes, or before all of
 * them; never a later write without an earlier one, because the cache writes back sectors and not calls.
 */
export class Inode {
  changedMs: number;
  #bytes: Uint8Array;
  /** Another inode reads the same bytes, so they are copied before they change. */
  #bytesAreShared = false;
  #length: number;
  #durableLength: number;
  /** In the order of the writes. */
  #unsynced: SectorWrite[] = [];
  #order = 0;

  constructor(bytes: Uint8Array, length: number, changedMs: number) {
    this.#bytes = bytes;
    this.#length = length;
    this.#durableLength = length;
    this.changedMs = changedMs;
  }

  get length(): number {
    return this.#length;
  }

  /** All bytes; not to be changed, nor kept. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  read(target: Uint8Array, offset: number): number {
    const bytes = this.#bytes.subarray(Math.min(offset, this.#length), Math.min(offset + target.length, this.#length));
    target.set(bytes);
    return bytes.length;
  }

  write(parts: readonly Uint8Array[], offset: number): number {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes === 0) return 0;

    this.#order += 1;
    const end = offset + bytes;
    for (let sector = Math.floor(offset / sectorBytes); sector * sectorBytes < end; sector += 1) {
      this.#unsynced.push({ sector, before: this.#sector(sector), order: this.#order, failed: false });
    }

    this.#own(end);
    this.#length = Math.max(this.#length, end);
    let at = offset;
    for (const part of parts) {
      this.#bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Other contents, durable at once. */
  replace(bytes: Uint8Array): void {
    // Not slice(): that of a Buffer is a view of the same bytes.
    this.#bytes = new Uint8Array(bytes);
    this.#bytesAreShared = false;
    this.#length = bytes.length;
    this.#durableLength = bytes.length;
    this.#unsynced = [];
  }

  beginSync(): SyncPoint {
    return { order: this.#order, length: this.#length };
  }

  endSync(point: SyncPoint): void {
    this.#durableLength = Math.min(this.#length, Math.max(this.#durableLength, point.length));

    // A sector whose sync failed gets to the disk with the next write to it, which makes all of it dirty again.
    const written = new Set<number>();
    for (const write of this.#unsynced) {
      if (write.order <= point.order && !write.failed) written.add(write.sector);
    }
    if (written.size > 0) {
      this.#unsynced = this.#unsynced.filter((write) => write.order > point.order || !written.has(write.sector));
    }
  }

  failSync(point: SyncPoint): void {
    this.#unsynced = this.#unsynced.map((write) => (write.order <= point.order ? { ...write, failed: true } : write));
  }

  /** The same file in another machine, with the same of it unsynced. */
  copy(): Inode {
    const copy = this.#share();
    copy.#durableLength = this.#durableLength;
    copy.#unsynced = this.#unsynced.slice();
    copy.#order = this.#order;
    return copy;
  }

  /** What a machine finds of the file after its power failed now. */
  afterPowerLoss(random: () => number): Inode {
    if (this.#unsynced.length === 0 && this.#durableLength === this.#length) return this.#share();

    const choose = chooser(random, this.#unsynced.length);
    const bytes = this.#bytes.slice(0, this.#length);
    let length = this.#durableLength;
    for (const [sector, writes] of this.#unsyncedBySector()) {
      const versions = [...writes.map(({ write }) => write.before), this.#sector(sector)];
      const survivor = choose(versions, writes);
      const start = sector * sectorBytes;
      bytes.fill(0, start, start + sectorBytes);
      // Unless the sector was cut off at the end of the file, its bytes fit.
      bytes.set(survivor, start);
      if (survivor.length > 0) length = Math.max(length, start + survivor.length);
    }

    // The length is written on its own: it may lead the bytes, and what lies between them then reads as zeros.
    const lead = random();
    if (lead < 0.25) length = this.#length;
    else if (lead < 0.5) length += Math.floor(random() * (this.#length - length + 1));
    bytes.fill(0, length);
    return new Inode(bytes, length, this.changedMs);
  }

  #unsyncedBySector(): Map<number, { write: SectorWrite; index: number }[]> {
    return Map.groupBy(
      this.#unsynced.map((write, index) => ({ write, index })),
      ({ write }) => write.sector,
    );
  }

  /** A copy of what a sector holds now, cut at the end of the file. */
  #sector(sector: number): Uint8Array {
    const start = sector * sectorBytes;
    return start >= this.#length ? nothing : this.#bytes.slice(start, Math.min(start + sectorBytes, this.#length));
  }

  #own(bytes: number): void {
    if (!this.#bytesAreShared && bytes <= this.#bytes.length) return;
    const capacity = bytes <= this.#bytes.length ? this.#bytes.length : Math.max(bytes, 2 * this.#bytes.length);
    const own = new Uint8Array(capacity);
    own.set(this.view());
    this.#bytes = own;
    this.#bytesAreShared = false;
  }

  #share(): Inode {
    const other = new Inode(this.#bytes, this.#length, this.changedMs);
    this.#bytesAreShared = true;
    other.#bytesAreShared = true;
    return other;
  }
}

const nothing = new Uint8Array(0);

type Chooser = (
  versions: readonly Uint8Array[],
  writes: readonly { write: SectorWrite; index: number }[],
) => Uint8Array;

/**
 * One temper per file: everything got written, nothing did, everything up to some write, or each sector for itself.
 * Each alone is rare among independent choices, and each has found bugs of its own.
 */
function chooser(random: () => number, writes: number): Chooser {
  const upTo = (count: number): number => Math.floor(random() * count);
  const temper = random();
  const prefix = upTo(writes + 1);
  const keeps = random();

  return (versions, of) => {
    const last = versions.length - 1;
    const latest = of.at(-1)?.write;
    // What a sync lost is lost or kept, whatever happens to the rest.
    if (latest?.failed === true) return pick(versions, upTo(versions.length));
    if (temper < 0.2) return pick(versions, last);
    if (temper < 0.4) return pick(versions, 0);

    const survivor =
      temper < 0.6 ? of.filter(({ index }) => index < prefix).length : random() < keeps ? 1 + upTo(last) : 0;
    if (survivor === 0 || random() >= 1 / 8) return pick(versions, survivor);
    return torn(pick(versions, survivor), pick(versions, upTo(survivor)), 1 + upTo(sectorBytes - 1));
  };
}

/** The first bytes of the newer version, the rest of the older. */
function torn(newer: Uint8Array, older: Uint8Array, at: number): Uint8Array {
  const head = newer.subarray(0, at);
  const bytes = new Uint8Array(Math.max(head.length, older.length));
  bytes.set(older);
  bytes.set(head);
  return bytes;
}

function pick(versions: readonly Uint8Array[], index: number): Uint8Array {
  return versions[index] ?? nothing;
}
