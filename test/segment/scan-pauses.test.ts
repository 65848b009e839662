import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { openDisk } from "../../core/entries/disk.ts";
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
