import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { formatVersion } from "../../core/segment/header.ts";
import { coreSha256 } from "../support/soak/core-hash.ts";
import type { SoakRecord } from "../support/soak/record.ts";

const file = path.resolve(import.meta.dirname, "../../docs/records/soak.json");

/** The long counts are run by `npm run soak`, by hand. What it wrote must at least be of this format. */
describe("docs/records/soak.json", () => {
  test("is there, of today's format, and reports no violation", () => {
    expect(existsSync(file), "npm run soak writes it").toBe(true);
    const record = JSON.parse(readFileSync(file, "utf8")) as SoakRecord;

    expect(record.formatVersion).toBe(formatVersion);
    expect(record.violations).toBe(0);
    expect(record.parts.filter(({ violations }) => violations > 0)).toEqual([]);
    expect(record.parts.length).toBeGreaterThan(0);

    // Not a failure: every change of core would ask for another half an hour.
    if (record.coreSha256 !== coreSha256()) console.log(`core has changed since the soak of ${record.date}`);
    if (!record.whole) console.log(`the soak of ${record.date} was not whole: npm run soak`);
  });
});
