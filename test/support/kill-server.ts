import { writeSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { serveLocal } from "../../functions/local.ts";
import { payloadOf, tenant } from "./kill-payloads.ts";

/**
 * A server to be killed: `kill-server.ts FOLDER TRIAL`. It writes its URL to standard output; while it serves, four callers
 * in its own process append, each acknowledgement written at once, in one system call.
 */
const [directory = "", trial = ""] = process.argv.slice(2);
const { url, store } = await serveLocal({ directory, port: 0 });
// It would be written when the process ends of itself.
flushCompileCache();
writeSync(1, `${url}\n`);

async function write(writer: number): Promise<never> {
  const group = `trial-${trial}-caller-${writer}`;
  for (let n = 0; ; n += 1) {
    await store.append({ tenant, group, id: `${n}` }, payloadOf(group, n));
    writeSync(1, `${group} ${n}\n`);
  }
}

await Promise.all([0, 1, 2, 3].map(write));
