import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { rowProtocolVersion } from "../../core/rows/protocol.ts";
import { coreSha256 } from "../support/soak/core-hash.ts";
import { lineageOf } from "../support/soak/lineage.ts";
import { soakParts } from "../support/soak/parts.ts";
import { complaintsOf, readRecord, type RecordedPart } from "../support/soak/record.ts";

/** The long counts are run by `npm run soak`, by hand. What it wrote must be of this format, and of this protocol of rows. */
describe("docs/records/soak.json", () => {
  test("is there, each part of today's format and protocol, and reports no violation", () => {
    const record = readRecord();

    expect(complaintsOf(record)).toEqual([]);
    expect(record.parts.length, "npm run soak writes it").toBeGreaterThan(0);

    // Not a failure: every change of core would ask for another half an hour.
    const today = coreSha256();
    const missing = Object.keys(soakParts).filter((name) => !record.parts.some(({ part }) => part === name));
    if (missing.length > 0) console.log(`never recorded: npm run soak -- --record --parts ${missing.join(",")}`);
    for (const { part, date, runs, wholeRuns, coreSha256: of } of record.parts) {
      if (of !== today) console.log(`core has changed since the soak of ${part}, ${date}`);
      if (runs < wholeRuns) console.log(`${part} of ${date} is not whole: ${runs} of ${wholeRuns}`);
    }
  });
});

describe("the protocol of rows", () => {
  test("has the version that docs/aws.md tells", () => {
    const text = readFileSync(path.resolve(import.meta.dirname, "../../docs/aws.md"), "utf8");

    expect(text.replaceAll(/\s+/g, " ")).toContain(`its version is ${rowProtocolVersion} (\`core/rows/protocol.ts\`)`);
  });
});

describe("a part that is recorded", () => {
  const recorded = { ...readRecord().parts[0]!, ...lineageOf(soakParts["schedules"]!), part: "schedules" };
  const complaints = (change: Partial<RecordedPart>) => complaintsOf({ parts: [{ ...recorded, ...change }] });

  test("is not accepted of another format, of another protocol, or with a violation", () => {
    expect(complaints({})).toEqual([]);
    expect(complaints({ formatVersion: recorded.formatVersion + 1 })).toHaveLength(1);
    expect(complaints({ rowProtocolVersion: recorded.rowProtocolVersion! + 1 })).toHaveLength(1);
    expect(complaints({ violations: 1 })).toHaveLength(1);
    expect(complaints({ part: "no such part" })).toHaveLength(1);
  });

  test("says nothing of the protocol where it tries none", () => {
    expect(lineageOf(soakParts["fuzz"]!)).not.toHaveProperty("rowProtocolVersion");
  });
});
