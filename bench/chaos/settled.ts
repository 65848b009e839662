/** Group and id of a payload. */
export interface SettledName {
  readonly group: string;
  readonly id: string;
}

interface Settled extends SettledName {
  readonly value: string;
  /** An erasure of the group was answered to nobody: it may be gone on with at any time. */
  readonly mayGo: boolean;
}

/** What was read of each id when nobody wrote its group any more: so it has to stay, whatever compaction does. */
export class SettledReads {
  readonly #all: Settled[] = [];
  readonly counts = { reads: 0, lost: 0, wrong: 0, resurrected: 0 };
  readonly broken: string[] = [];

  add(name: SettledName, value: string, mayGo: boolean): void {
    this.#all.push({ ...name, value, mayGo });
  }

  /** Reads some of them again, or all. */
  async verify(read: (name: SettledName) => Promise<string>, isChosen: () => boolean = () => true): Promise<void> {
    for (const settled of this.#all.filter(isChosen)) {
      const found = await read(settled);
      this.counts.reads += 1;
      if (found === settled.value || (found === "" && settled.mayGo)) continue;
      const kind = found === "" ? "lost" : settled.value === "" ? "resurrected" : "wrong";
      this.counts[kind] += 1;
      this.broken.push(
        `${settled.group}/${settled.id} is ${kind}: ${settled.value || "nothing"} became ${found || "nothing"}`,
      );
    }
  }
}
