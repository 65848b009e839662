import { join } from "node:path";

const segmentSuffix = ".seg";

/** Where things lie in a store's folder. docs/format.md §1. */
export class Layout {
  readonly root: string;
  readonly storeFile: string;
  readonly lockFile: string;
  readonly holderFile: string;
  readonly segments: string;
  readonly index: string;
  readonly checkpoint: string;
  readonly manifest: string;
  readonly runs: string;
  readonly quarantine: string;
  readonly erasures: string;
  readonly uploads: string;
  readonly lossesFile: string;
  readonly keysFile: string;
  readonly keysLockFile: string;

  constructor(root: string) {
    this.root = root;
    this.storeFile = join(root, "store.json");
    this.lockFile = join(root, "LOCK");
    this.holderFile = join(root, "LOCK.json");
    this.segments = join(root, "segments");
    this.index = join(root, "index");
    this.checkpoint = join(this.index, "checkpoint");
    this.manifest = join(this.index, "manifest");
    this.runs = join(this.index, "runs");
    this.quarantine = join(root, "quarantine");
    this.erasures = join(root, "erasures");
    this.uploads = join(root, "uploads");
    this.lossesFile = join(root, "losses.json");
    this.keysFile = join(root, "keys.json");
    this.keysLockFile = join(root, "KEYS.LOCK");
  }

  /** A run, or the saved overlay, by its SHA-256. */
  run(sha256: string): string {
    return join(this.runs, sha256);
  }

  /** The log of pages of an on-disk index. */
  pages(name: string): string {
    return join(this.index, name);
  }

  tenant(tenant: string): string {
    return join(this.segments, tenant);
  }

  segment(tenant: string, segment: string): string {
    return join(this.segments, tenant, segment + segmentSuffix);
  }

  erasuresOf(tenant: string): string {
    return join(this.erasures, tenant);
  }

  erasure(tenant: string, id: string): string {
    return join(this.erasures, tenant, `${id}.json`);
  }

  upload(tenant: string, name: string): string {
    return join(this.uploads, tenant, name);
  }
}

/** @returns the segment's name, `undefined` for files that are none. */
export function segmentOfFile(file: string): string | undefined {
  return file.endsWith(segmentSuffix) ? file.slice(0, -segmentSuffix.length) : undefined;
}
