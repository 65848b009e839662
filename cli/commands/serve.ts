import process from "node:process";
import { Command, InvalidArgumentError, Option } from "commander";
import { isPayloadStoreError } from "../../core/errors.ts";
import type { LocalServer } from "../../functions/local.ts";
import { optionsOf, parseDuration, parseInterval, parsePort } from "../globals.ts";
import { heldBy } from "../open-store.ts";
import { note, write, writeJson } from "../output.ts";

interface ServeOptions {
  readonly port: number;
  readonly host: string;
  /** False with --no-keys. */
  readonly keys: boolean;
  readonly retention?: number;
  readonly retentionClass?: Readonly<Record<string, number>>;
  /** In milliseconds. */
  readonly compactEvery: number;
}

export function serveCommand(): Command {
  return new Command("serve")
    .description("Serve the folder over HTTP, until SIGTERM or SIGINT. Once it has keys, they are asked for.")
    .addOption(new Option("--port <number>", "0 for any that is free").argParser(parsePort).env("PORT").default(8787))
    .option("--host <address>", "one beyond the loopback needs a key, see paylode keys", "127.0.0.1")
    .addOption(
      new Option(
        "--retention <duration>",
        "how long payloads without an expiry of their own are kept, such as 30d",
      ).argParser(parseDuration),
    )
    .addOption(
      new Option(
        "--retention-class <name=duration>",
        "how long payloads of a class are kept, such as debug=7d; 0 for ever; may be given again",
      ).argParser(addClass),
    )
    .option("--no-keys", "ask for no keys although the folder has some; on a loopback address only")
    .addOption(
      new Option(
        "--compact-every <duration>",
        "how often room is given back, such as 10m or 600; 0 for when it is asked for",
      )
        .argParser(parseInterval)
        .default(600_000, "10m"),
    )
    .action(async (_options: unknown, command: Command) => {
      const { dir, json, port, host, keys, compactEvery, retention, retentionClass } = optionsOf<ServeOptions>(command);
      const retentionMs = retentionClass ? { defaultMs: retention, classesMs: retentionClass } : retention;
      // The other commands start without the weight of a server.
      const { serveLocal, untilStopped } = await import("../../functions/local.ts");
      const options = {
        directory: dir,
        port,
        host,
        noKeys: !keys,
        compactEverySeconds: compactEvery / 1_000,
        retentionMs,
      };
      const server = await serveLocal(options).catch(inWords(dir));
      const stopped = untilStopped(server);
      report(server);
      const { url } = server;
      if (json) await writeJson({ url, port: server.port, pid: process.pid, directory: dir });
      else await write(`Paylode serves ${dir} at ${url}\n`);
      await stopped;
    });
}

function addClass(text: string, before: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("A class is its name, = and how long its payloads are kept.");
  const kept = text.slice(at + 1);
  return { ...before, [text.slice(0, at)]: kept === "0" ? 0 : parseDuration(kept) };
}

function inWords(directory: string): (error: unknown) => never {
  return (error) => {
    throw isPayloadStoreError(error, "LOCKED") ? heldBy(directory, error) : error;
  };
}

/** What opening the folder found out that its owner should know. */
function report({ store }: LocalServer): void {
  const { tornBytes, quarantined, damage } = store.recovery;
  if (tornBytes > 0) note(`paylode: ${tornBytes} bytes of an unfinished write were passed over`);
  for (const segment of quarantined)
    note(`paylode: segment ${segment} was unreadable, and is in the folder quarantine/`);
  for (const { tenant, segment, start, end, reason } of damage) {
    note(`paylode: damage in segment ${tenant}/${segment}, bytes ${start}–${end}: ${reason}`);
  }
}
