import { describe, expect, test } from "vitest";
import { notePrefix, UntoldRows } from "../../core/compaction/untold-rows.ts";

/** What the next run of a pass knows of what this one found. */
function recalled(before: UntoldRows, notes: readonly string[] = before.notes): UntoldRows {
  const after = new UntoldRows();
  after.recall(before.tenants, notes);
  return after;
}

function found(): UntoldRows {
  const untold = new UntoldRows();
  untold.add("acme", 'a group\nwith "signs" ', "row 3 cannot be read (crc)");
  untold.add("acme", "b", "row 1 is missing");
  untold.add("other", "b", "row 1 is missing");
  return untold;
}

const object = { kind: "segments", tenant: "acme" } as const;

describe("rows that could not be read", () => {
  test("are known to the next run of a pass by their groups, with what is wrong", () => {
    const after = recalled(recalled(found()));

    expect([...after.all()]).toEqual([...found().all()]);
    expect(after.mayName(object)).toBeUndefined();
    expect(after.areOf("acme", ["c"])).toBe(false);
    expect(after.areOf("acme", ["c", "b"])).toBe(true);
    expect(after.reason("acme", "c")).toBeUndefined();
    expect(after.reason("acme", "b")).toMatch(/^row 1 is missing of group "b": restore it/);
    for (const note of found().notes) expect(note).not.toContain("\n");
  });

  test("are of any group where it is not known which", () => {
    const untold = found();
    untold.addTenant("acme");
    const after = recalled(untold);

    expect(after.mayName(object)).toBe(true);
    expect(after.areOf("acme", ["c"])).toBe(true);
    expect(after.mayName({ ...object, tenant: "other" })).toBeUndefined();
    expect(after.mayName({ ...object, tenant: "third" })).toBe(false);
  });

  test("are of any group where an earlier release gave the notes back, or left none", () => {
    // It takes a line for the name of an object and what is alive of it: the group is lost.
    const given = [...new Set(found().notes.map((note) => `${note.split(" ")[0]} 0`))];
    for (const notes of [given, [], [...found().notes, `${notePrefix}acme 0`]]) {
      const after = recalled(found(), notes);
      expect(after.mayName(object)).toBe(true);
      expect(after.areOf("acme", ["c"])).toBe(true);
    }
  });

  test("are noted one by one up to a thousand, and then as any group of their tenant", () => {
    const untold = new UntoldRows();
    for (let i = 0; i <= 1000; i++) untold.add("acme", `${i}`, "row 1 is missing");
    untold.add("other", "b", "row 1 is missing");

    expect(untold.notes.length).toBeLessThan(4);
    expect(recalled(untold).areOf("acme", ["c"])).toBe(true);
    expect(recalled(untold).areOf("other", ["c"])).toBe(false);
  });
});
