import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { writeGoldenStore } from "./golden-store.ts";

/** Writes `test/golden/format-0` anew: `node test/support/write-golden.ts`. Only where the format itself is to change. */
const target = path.join(import.meta.dirname, "../golden/format-0");
await rm(target, { recursive: true, force: true });
for (const [file, bytes] of await writeGoldenStore()) {
  const whole = path.join(target, file);
  await mkdir(path.dirname(whole), { recursive: true });
  await writeFile(whole, bytes);
}
