import type { WorkBatch, WorkKey } from "./work.ts";

type Answer<T> = T | Promise<T>;

/** A store under measurement, opened over one folder. Every peer promises the same: a write that ended is on the disk. */
export interface Peer {
  /** Stores a batch in one durable commit. */
  write(batch: WorkBatch): Answer<void>;
  /** As `write`, in the way that is made for several callers at once, where that is another one. */
  writeTogether?(batch: WorkBatch): Promise<void>;
  get(key: WorkKey): Answer<Uint8Array | undefined>;
  has(key: WorkKey): Answer<boolean>;
  /** Every payload of a group. */
  group(group: string): Answer<readonly Uint8Array[]>;
  close(): Answer<void>;
}

export interface PeerKind {
  readonly name: string;
  /** How each commit is made durable, for the report. */
  readonly durable: string;
  /** Fewer payloads than the others, where all of them would take minutes. */
  readonly payloadsMax?: number;
  /** Loads what it needs beforehand, so that opening is measured without it. */
  load(): Promise<(directory: string) => Answer<Peer>>;
}
