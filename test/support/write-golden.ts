import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { writeGoldenRows } from "./golden-rows.ts";
import { writeGoldenIndex, writeGoldenStore } from "./golden-store.ts";

/** Writes `test/golden` anew: `node test/support/write-golden.ts`. Only where the format itself is to change. */
const store = await writeGoldenStore();
await writeAnew("../golden/format-0", store);
await writeAnew("../golden/format-0-disk-hash", await writeGoldenIndex(store));
await writeAnew("../golden/format-0-rows", writeGoldenRows());

async function writeAnew(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const target = path.join(import.meta.dirname, folder);
  await rm(target, { recursive: true, force: true });
  for (const [file, bytes] of files) {
    const whole = path.join(target, file);
    await mkdir(path.dirname(whole), { recursive: true });
    await writeFile(whole, bytes);
  }
}
