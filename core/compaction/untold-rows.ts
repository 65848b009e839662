import type { StoredObject } from "../ports/stored-objects.ts";

/**
 * Rows that a pass could not read, or that are missing: what they name is not known. It is kept.
 *
 * A row names a frame of its own group, so it can be known what it does not name: a segment whose footer has no frame of the
 * group. Of an upload nobody can tell.
 */
export class UntoldRows {
  /** Of these it is not known which groups they are of. */
  readonly #tenants = new Set<string>();
  /** By tenant and group, what is wrong. */
  readonly #groups = new Map<string, Map<string, string>>();

  add(tenant: string, group: string, what: string): void {
    this.#note(tenant, group, `${what} of group ${JSON.stringify(group)}`);
  }

  addTenant(tenant: string): void {
    this.#tenants.add(tenant);
  }

  /** What the next run of a pass has to know of them: a line for each group, or for a tenant with many. */
  get notes(): readonly string[] {
    const lines: string[] = [];
    for (const [tenant, groups] of this.#groups) {
      const isNoted = !this.#tenants.has(tenant) && lines.length + groups.size <= notedMax;
      if (!isNoted) lines.push(`${notePrefix}${tenant} -`);
      else for (const told of groups) lines.push(`${notePrefix}${tenant} ${JSON.stringify(told)}`);
    }
    return lines;
  }

  /**
   * Goes on with what an earlier run of the pass has found.
   * @param tenants  all that have such rows: of one that no note is of, or one without a group, it may be any group
   */
  recall(tenants: readonly string[], notes: readonly string[]): void {
    const told = new Set<string>();
    for (const note of notes) {
      const at = note.indexOf(" ");
      const tenant = note.slice(notePrefix.length, at);
      const known = toldIn(note.slice(at + 1));
      told.add(tenant);
      if (known) this.#note(tenant, ...known);
      else this.#tenants.add(tenant);
    }
    for (const tenant of tenants) if (!told.has(tenant)) this.#tenants.add(tenant);
  }

  get tenants(): readonly string[] {
    return [...new Set([...this.#tenants, ...this.#groups.keys()])];
  }

  has(tenant: string): boolean {
    return this.#tenants.has(tenant) || this.#groups.has(tenant);
  }

  /** Whether one of them may name an object, where that is known without a request; `undefined` where its footer tells. */
  mayName({ kind, tenant }: Pick<StoredObject, "kind" | "tenant">): boolean | undefined {
    if (!this.has(tenant)) return false;
    return kind !== "segments" || this.#tenants.has(tenant) ? true : undefined;
  }

  /** Whether one of them may name a segment that has frames of these groups and of no others. */
  areOf(tenant: string, groups: Iterable<string>): boolean {
    const known = this.#groups.get(tenant);
    for (const group of groups) if (known?.has(group)) return true;
    return this.#tenants.has(tenant);
  }

  /** What keeps it from being told what there is of a group, or of a whole tenant; and what to do. */
  reason(tenant: string, group?: string): string | undefined {
    const known = this.#groups.get(tenant);
    const [first] = group === undefined ? (known?.values() ?? []) : [known?.get(group)];
    if (first !== undefined) {
      const more = group === undefined && known!.size > 1 ? `, and rows of ${known!.size - 1} groups more` : "";
      return `${first}${more}: ${whatToDo}`;
    }
    return this.#tenants.has(tenant) ? `rows could not be read by an earlier run of this pass: ${whatToDo}` : undefined;
  }

  #note(tenant: string, group: string, what: string): void {
    const known = this.#groups.get(tenant) ?? new Map<string, string>();
    if (!known.has(group)) known.set(group, what);
    this.#groups.set(tenant, known);
  }

  /** Each group with one, and what to do. */
  *all(): Generator<{ readonly tenant: string; readonly group: string; readonly reason: string }> {
    for (const [tenant, groups] of this.#groups) {
      for (const [group, what] of groups) yield { tenant, group, reason: `${what}: ${whatToDo}` };
    }
  }
}

/** What ends it that rows cannot be read, or are missing. */
export const whatToDo =
  "restore it from the table's recovery, or where there is no copy remove the rows of its group by hand, after reading what can be read; then compact again";

/** Begins a line that is of such rows: no object is of this kind. */
export const notePrefix = "untold/";

/** Groups that are noted one by one: more of a tenant are noted as any of its groups. */
const notedMax = 1_000;

/** The group of a note, and what is wrong there; `undefined` where it is of a tenant alone. */
function toldIn(text: string): readonly [group: string, what: string] | undefined {
  try {
    const told: unknown = JSON.parse(text);
    if (!Array.isArray(told) || told.length !== 2) return undefined;
    const [group, what] = told as unknown[];
    return typeof group === "string" && typeof what === "string" ? [group, what] : undefined;
  } catch {
    return undefined;
  }
}
