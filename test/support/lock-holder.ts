// Takes the lock of the file it is given, says how that went, and holds the lock until it is told to go on or is killed.
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";

const lock = new NodeFileSystem().lock(process.argv[2] ?? "");
process.stdout.write(lock === undefined ? "refused\n" : "locked\n");
process.stdin.once("data", () => {
  lock?.release();
  process.stdout.write("released\n");
});
