import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { env } from "node:process";
import { decompress as decodeWithFzstd } from "fzstd";
import { decompress as decodeWithLz4js } from "lz4js";
import { describe, expect, test } from "vitest";
import { lz4Codec } from "../../core/adapters/lz4js/lz4-codec.ts";
import { ZstdCodec } from "../../core/adapters/node/zstd-codec.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { perTier } from "../support/per-tier.ts";

/** Blocks are standard frames: whoever loses Paylode can still read them with tools that everybody has. */
const zstdCodec = new ZstdCodec();
const samples = [
  ...[1, 12, 13, 100, 1024, 65_536, 100_000, 4_194_304].map((length) => prose(length, length)),
  ...[1, 5, 4096, 300_000].map((length) => noise(length, length)),
  new Uint8Array(100_000),
];

describe("an LZ4 block", () => {
  test("is read by lz4js", async () => {
    for (const raw of samples) sameBytes(decodeWithLz4js(await lz4Codec.encode(raw), raw.length), raw);
  });

  // The tool is not everywhere; where changes are accepted it has to be.
  test.skipIf(isMissing("lz4"))("is read by the lz4 tool", async () => {
    for (const raw of samples) sameBytes(decodeWithTool("lz4", await lz4Codec.encode(raw)), raw);
  });

  // The tool is not everywhere; where changes are accepted it has to be.
  test.skipIf(isMissing("lz4"))(
    "that the lz4 tool wrote is read by ours, at every level and with checksums",
    async () => {
      for (const raw of samples.filter(({ length }) => length > 0)) {
        for (const options of [["-1"], ["-9"], ["-BD", "-B4"], ["--content-size", "-BX"], ["--no-frame-crc"]]) {
          const frame = execFileSync("lz4", ["-q", "-c", ...options], { input: raw, maxBuffer: 2 ** 26 });
          sameBytes(await lz4Codec.decode(frame, raw.length), raw, options.join(" "));
        }
      }
    },
  );
});

describe("a zstd block", () => {
  test("is read by fzstd", async () => {
    for (const raw of samples) sameBytes(decodeWithFzstd(await zstdCodec.encode(raw)), raw);
  });

  test("carries its length, so that readers need not guess", async () => {
    for (const raw of samples) {
      const frame = await zstdCodec.encode(raw);
      // Frame_Content_Size_flag and Single_Segment_flag, RFC 8878 §3.1.1.1.1: one of them says that the length is there.
      expect((frame[4] ?? 0) & 0xe0).not.toBe(0);
    }
  });

  // The tool is not everywhere; where changes are accepted it has to be.
  test.skipIf(isMissing("zstd"))("is read by the zstd tool", async () => {
    for (const raw of samples) sameBytes(decodeWithTool("zstd", await zstdCodec.encode(raw)), raw);
  });

  // The tool is not everywhere; where changes are accepted it has to be.
  test.skipIf(isMissing("zstd"))("on a base is read by the zstd tool, with the base for its dictionary", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "paylode-base-"));
    const file = path.join(folder, "base");
    const { onBase } = zstdCodec;
    for (const base of [prose(20_000, 1), noise(131_072, 2)]) {
      writeFileSync(file, base);
      for (const raw of [base.slice(1000, 9000), prose(30_000, 3), noise(300, 4)]) {
        const frame = await onBase.encode(raw, base);
        sameBytes(decodeWithTool("zstd", frame, "-D", file), raw);
        const options = ["-q", "-c", "-D", file];
        const written = execFileSync("zstd", options, { input: raw, maxBuffer: 2 ** 26 });
        sameBytes(onBase.decode(written, raw.length, base), raw);
      }
    }
    rmSync(folder, { recursive: true });
  });

  // The tool is not everywhere; where changes are accepted it has to be.
  test.skipIf(isMissing("zstd"))(
    "that the zstd tool wrote is read by ours, at every level and with checksums",
    async () => {
      for (const raw of samples) {
        const highest = raw.length > 1_000_000 ? perTier("-9", "-19") : "-19";
        for (const options of [["-1"], [highest], ["--check"], ["--no-check"]]) {
          const frame = execFileSync("zstd", ["-q", "-c", ...options], { input: raw, maxBuffer: 2 ** 26 });
          sameBytes(zstdCodec.decode(frame, raw.length), raw, options.join(" "));
        }
      }
    },
    120_000,
  );
});

/** Frames as release 0 wrote them, by hand checked against the formats' descriptions. They decode for ever. */
describe("a golden frame", () => {
  test.each([
    ["LZ4, with matches", lz4Codec, "04224d18606073", "a".repeat(40)],
    ["LZ4, stored as it is", lz4Codec, "04224d18607073" + "03000080" + "616263" + "00000000", "abc"],
    ["LZ4, empty", lz4Codec, "04224d18607073" + "00000000", ""],
    ["zstd, raw block", zstdCodec, "28b52ffd2003" + "190000" + "616263", "abc"],
    ["zstd, run", zstdCodec, "28b52ffd2028" + "430100" + "61", "a".repeat(40)],
    ["zstd, empty", zstdCodec, "28b52ffd2000" + "010000", ""],
  ] as const)("of %s decodes", async (name, codec, frame, text) => {
    // One literal, a match of 34 at distance 1, five literals: token 1f, the rest of the length, then 50 and five.
    const matches = "0b000000" + "1f" + "61" + "0100" + "0f" + "50" + "6161616161" + "00000000";
    const bytes = Buffer.from(name === "LZ4, with matches" ? "04224d18607073" + matches : frame, "hex");

    sameBytes(await codec.decode(bytes, text.length), Buffer.from(text));
  });
});

function isMissing(tool: string): boolean {
  const isThere = spawnSync(tool, ["--version"]).status === 0;
  if (!isThere && env["CI"]) throw new Error(`${tool} has to be installed where CI is set`);
  return !isThere;
}

function decodeWithTool(tool: string, frame: Uint8Array, ...options: readonly string[]): Uint8Array {
  return execFileSync(tool, ["-q", "-d", "-c", ...options], { input: frame, maxBuffer: 2 ** 26 });
}
