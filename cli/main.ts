#!/usr/bin/env node
import process from "node:process";

// Before anything else is loaded: what follows does not even parse, or silently misses zstd dictionaries, on older releases.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 6)) {
  process.stderr.write(
    `paylode: Node.js 24.6 or newer is needed; this is ${process.versions.node} (${process.execPath})\n`,
  );
  process.exitCode = 2;
} else {
  const { run } = await import("./run.ts");
  process.exitCode = await run(process.argv.slice(2));
}
