import { PayloadStoreError } from "../errors.ts";
import type { Compaction, CompactionReport, CompactOptions } from "./compaction.ts";

/** Compaction that is loaded by its first run. */
export class LoadedCompaction implements Compaction {
  readonly #load: () => Promise<Compaction>;
  #loading: Promise<Compaction> | undefined;
  #stopped = false;

  constructor(load: () => Promise<Compaction>) {
    this.#load = load;
  }

  async run(options: CompactOptions): Promise<CompactionReport> {
    this.#loading ??= this.#load();
    const compaction = await this.#loading;
    if (this.#stopped) throw new PayloadStoreError("CLOSED", "the store is closed");
    return compaction.run(options);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await (await this.#loading)?.stop();
  }
}
