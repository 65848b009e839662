import { setImmediate as turn } from "node:timers/promises";
import type { PayloadLine } from "../functions/ndjson-lines.ts";
import type { CommandStore } from "./command-store.ts";

/** Bounds of one commit, and of the commits that wait for the disk at the same time. */
const batchPayloadsMax = 256;
const batchBytesMax = 4 * 1024 * 1024;
const inFlightMax = 64;
const inFlightBytesMax = 32 * 1024 * 1024;

interface Batch {
  readonly group: string;
  readonly lines: Map<string, PayloadLine>;
  bytes: number;
}

/**
 * Commits lines as they come: consecutive lines of one group in one commit, several groups at the same time, the batches
 * of one group one after the other, so that of two lines with the same name the later one wins.
 */
export class ImportQueue {
  readonly #store: Pick<CommandStore, "appendMany">;
  readonly #tenant: string;
  readonly #groups = new Set<string>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #lastOfGroup = new Map<string, Promise<void>>();
  #inFlightBytes = 0;
  #batch: Batch | undefined;
  #failure: { readonly error: unknown } | undefined;
  #payloads = 0;
  #bytes = 0;

  constructor(store: Pick<CommandStore, "appendMany">, tenant: string) {
    this.#store = store;
    this.#tenant = tenant;
  }

  /** What is committed so far. */
  get stored(): { readonly payloads: number; readonly groups: number; readonly bytes: number } {
    return { payloads: this.#payloads, groups: this.#groups.size, bytes: this.#bytes };
  }

  /** Takes a line, and waits while too much is in flight. @throws what a commit before it failed with */
  async add(line: PayloadLine): Promise<void> {
    if (this.#batch && !fits(this.#batch, line)) await this.#send(this.#batch);
    this.#batch ??= { group: line.group, lines: new Map(), bytes: 0 };
    this.#batch.lines.set(line.id, line);
    this.#batch.bytes += line.bytes.length;
  }

  /** Commits what is left and waits for all of it. @throws what the first failed commit failed with */
  async finish(): Promise<void> {
    if (this.#batch && !this.#failure) await this.#send(this.#batch);
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
    this.#throwFailure();
  }

  async #send(batch: Batch): Promise<void> {
    this.#batch = undefined;
    while (this.#inFlight.size >= inFlightMax || (this.#inFlight.size > 0 && this.#inFlightBytes > inFlightBytesMax)) {
      await Promise.race(this.#inFlight);
    }
    this.#throwFailure();
    this.#inFlightBytes += batch.bytes;
    const commit = this.#commit(batch, this.#lastOfGroup.get(batch.group));
    this.#inFlight.add(commit);
    this.#lastOfGroup.set(batch.group, commit);
    void commit.then(() => {
      this.#inFlight.delete(commit);
      this.#inFlightBytes -= batch.bytes;
      if (this.#lastOfGroup.get(batch.group) === commit) this.#lastOfGroup.delete(batch.group);
    });
    // Lets this batch reach the segment before the next one is begun: groups are then listed, and exported, in the order
    // of the file. They still share a sync. Behind a server the order is as the requests arrive.
    await turn();
  }

  /** Never rejects: a failure is kept, and stops what has not begun. */
  async #commit({ group, lines, bytes }: Batch, before: Promise<void> | undefined): Promise<void> {
    await before;
    if (this.#failure) return;
    try {
      await this.#store.appendMany({ tenant: this.#tenant, group }, [...lines.values()]);
      this.#payloads += lines.size;
      this.#bytes += bytes;
      this.#groups.add(group);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

function fits(batch: Batch, line: PayloadLine): boolean {
  if (batch.group !== line.group || batch.lines.has(line.id)) return false;
  return batch.lines.size < batchPayloadsMax && batch.bytes + line.bytes.length <= batchBytesMax;
}
