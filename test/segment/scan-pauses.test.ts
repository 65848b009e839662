import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { SegmentBinding } from "../../core/segment/binding.ts";
import {
  decodeFooter,
  decodeFooterInSteps,
  decodeTrailer,
  FooterDraft,
  trailerBytes,
} from "../../core/segment/footer.ts";
import { syncMarkerBytes } from "../../core/segment/header.ts";
import { scanSegment } from "../../core/segment/scan.ts";

// A segment of 64 MiB may hold 100,000 frames: read in one go they would hold up every caller for a second.
test.for(["footer", "frames"] as const)(
  "a scan of many frames, by its %s, lets others run in between",
  async (told) => {
    const directory = mkdtempSync(path.join(tmpdir(), "paylode-scan-"));
    try {
      const store = await openDisk({ directory, durability: "fast", segmentBytesMax: 1 });
      await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          store.append({ tenant: "acme", group: `g${i}`, id: "1" }, new Uint8Array(i)),
        ),
      );
      await store.close();
      const folder = path.join(directory, "segments", "acme");
      const [file = ""] = readdirSync(folder);
      const whole = new Uint8Array(readFileSync(path.join(folder, file)));
      let pauses = 0;

      const scan = await scanSegment(
        {
          tenant: "acme",
          segment: path.basename(file, ".seg"),
          size: whole.length,
          read: (at, bytes) => whole.subarray(at, at + bytes),
          pause: async () => void (pauses += 1),
        },
        nodeDigest,
        undefined,
        told,
      );

      expect(scan.sealed).toBe(true);
      expect(scan.frames).toHaveLength(200);
      expect(pauses).toBe(3);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

test("a footer of many frames is decoded in steps of 512 names or frames", () => {
  const binding = new SegmentBinding(nodeDigest, "seg");
  const marker = new Uint8Array(syncMarkerBytes).fill(7);
  const draft = new FooterDraft();
  const frames = 4096;
  for (let i = 0; i < frames; i++)
    draft.add({ group: `g${i}`, kind: "payloads", sequence: 1, offset: 100 + 50 * i, headBytes: 40, bodyBytes: 10 });
  const offset = 100 + 50 * frames;
  const written = draft.encode([], marker, offset, binding);
  const trailer = decodeTrailer(written.subarray(-trailerBytes), offset + written.length, binding);
  if (!trailer.ok) throw new Error(trailer.damage);
  const bytes = written.subarray(0, -trailerBytes);

  const steps = decodeFooterInSteps(bytes, trailer.value.crc, offset, marker, binding);

  let pauses = 0;
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) pauses += 1;
  expect(pauses).toBe((2 * frames) / 512);
  expect(step.value).toEqual(decodeFooter(bytes, trailer.value.crc, offset, marker, binding));
  expect(step.value.ok && step.value.value.frames.length).toBe(frames);
});
