import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { agentTraces } from "../../bench/agent-traces.ts";
import {
  autoPolicy,
  codecPolicy,
  sampledEntropyBits,
  tieredPolicy,
  type CodecPolicy,
} from "../../core/codec-policy.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { seededRandom } from "../support/seeded-random.ts";

const random = seededRandom(1);
const noise = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256));
const text = (length: number) =>
  new TextEncoder().encode("the agent said ".repeat(length / 15 + 1)).subarray(0, length);

function chosen(policy: CodecPolicy, raw: Uint8Array, payloads = 1): string {
  return policy({ raw, payloads, payloadBytes: raw.length });
}

describe("the tiered policy", () => {
  it.each([
    [0, "none"],
    [1023, "none"],
    [1024, "lz4"],
    [99_999, "lz4"],
    [100_000, "zstd"],
  ])("stores a lone payload of %i bytes as %s", (length, codec) => {
    expect(chosen(tieredPolicy(), text(length))).toBe(codec);
  });

  it("goes by the whole payload where a block is a slice of it", () => {
    expect(tieredPolicy()({ raw: text(2000), payloads: 1, payloadBytes: 5_000_000 })).toBe("zstd");
  });

  it("stores a block that payloads share as zstd", () => {
    expect(chosen(tieredPolicy(), text(1023), 3)).toBe("none");
    expect(chosen(tieredPolicy(), text(1024), 3)).toBe("zstd");
  });

  it("takes other sizes", () => {
    const policy = tieredPolicy({ lz4From: 10, zstdFrom: 20 });
    expect([9, 10, 19, 20].map((length) => chosen(policy, text(length)))).toEqual(["none", "lz4", "lz4", "zstd"]);
  });
});

describe("the auto policy", () => {
  it("stores noise as it is, of any length", () => {
    for (const length of [200, 1024, 5000, 300_000])
      expect(chosen(autoPolicy(), noise(length)), `${length}`).toBe("none");
  });

  it("stores what is already compressed as it is", () => {
    const traces = [...agentTraces({ seed: 4, traces: 6 })].map(
      (line) => line.text ?? JSON.stringify(line.json ?? line.base64),
    );
    expect(chosen(autoPolicy(), gzipSync(traces.join("\n")))).toBe("none");
  });

  it("compresses agent traces from 192 bytes up", () => {
    for (const line of agentTraces({ seed: 3, traces: 3 })) {
      if (line.base64 !== undefined) continue;
      const raw = new TextEncoder().encode(line.text ?? JSON.stringify(line.json));
      expect(chosen(autoPolicy(), raw)).toBe(raw.length < 192 ? "none" : "zstd");
    }
  });

  it("is chosen by its name, and a name that is none is refused", async () => {
    const store = openMemory({ codecPolicy: "auto" });
    expect(await store.append({ tenant: "t", id: "a" }, text(500))).toMatchObject({ codec: 2 });
    expect(await store.append({ tenant: "t", id: "b" }, noise(500))).toMatchObject({ codec: 0 });
    expect(() => codecPolicy("best" as "auto")).toThrow(/codecPolicy must be/);
    try {
      openMemory({ codecPolicy: "best" as "auto" });
      expect.unreachable();
    } catch (error) {
      expect(isPayloadStoreError(error, "INVALID")).toBe(true);
    }
  });
});

describe("sampled entropy", () => {
  it("is 0 for one repeated byte and for nothing, near 8 for noise, and in between for text", () => {
    expect(sampledEntropyBits(new Uint8Array(0))).toBe(0);
    expect(sampledEntropyBits(new Uint8Array(500))).toBe(0);
    expect(sampledEntropyBits(noise(4096))).toBeGreaterThan(7.8);
    expect(sampledEntropyBits(text(4096))).toBeLessThan(5);
  });
});
