import { Command, InvalidArgumentError, Option } from "commander";
import type { AccessKey, Quota } from "../../core/access/access-key.ts";
import type { IssuedKey, KeyKeeper } from "../../core/access/key-keeper.ts";
import { isScope, type Scope, scopes } from "../../core/access/scope.ts";
import { type Globals, optionsOf, parseDuration, parseTime } from "../globals.ts";
import { note, printable, write, writeAll, writeJson } from "../output.ts";
import { table as tableOf } from "../table.ts";

/** Where the keys are: in the folder, or with `table` in DynamoDB. */
interface PlaceOptions {
  readonly table?: string;
  readonly region?: string;
}

interface CreateOptions extends PlaceOptions, Quota {
  readonly name: string;
  readonly scope: readonly Scope[];
  /** In milliseconds. */
  readonly expires?: number;
}

/** Keys are made and ended here alone, by whoever has the folder or the AWS credentials; there is no HTTP for it. */
export function keysCommand(): Command {
  const keys = new Command("keys").description("Make, list, rotate and end the keys of a tenant.");
  for (const command of [createCommand(), listCommand(), rotateCommand(), expireCommand()]) {
    keys.addCommand(
      command
        .option("--table <name>", "the keys of a store on AWS: its DynamoDB table, in place of --dir")
        .option("--region <name>", "of the table; by default as the environment says"),
    );
  }
  return keys;
}

function createCommand(): Command {
  return new Command("create")
    .description("Make a key and print it: this once, only its hash is kept.")
    .requiredOption("--name <text>", "what people call it")
    .addOption(
      new Option("--scope <scope>", `${scopes.join(", ")}; may be repeated`).argParser(addScope).makeOptionMandatory(),
    )
    .option("--expires <duration>", "such as 12h or 90d; without it, it stays until it is ended", parseDuration)
    .option("--requests-per-minute <number>", "its quota", parseNatural)
    .option("--bytes-per-day <number>", "its quota: bodies written and read in a UTC day", parseNatural)
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<CreateOptions>(command);
      const { tenant, name, scope, expires, requestsPerMinute, bytesPerDay } = options;
      const keeper = await keeperOf(options);
      const expiresMs = expires === undefined ? undefined : Date.now() + expires;
      const quota = { requestsPerMinute, bytesPerDay };
      const issued = await keeper.create({ tenant, name, scopes: scope, expiresMs, quota });
      await hand(issued, options, `key ${issued.key.id} of tenant ${tenant}: ${summary(issued.key)}`);
    });
}

function listCommand(): Command {
  return new Command("list")
    .description("List the keys of a tenant, those that have expired in the last 90 days too.")
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<PlaceOptions>(command);
      const { keys, unreadable } = await (await keeperOf(options)).list(options.tenant);
      if (options.json) await writeAll(jsonLines(keys));
      else await writeAll(tableOf(["id", "name", "scopes", "created", "expires", "quota"], new Set(), rows(keys)));
      for (const id of unreadable) note(`paylode: the record of key ${id} cannot be read; it opens nothing`);
    });
}

function rotateCommand(): Command {
  return new Command("rotate")
    .description("Give a key a new token and print it. The old one goes on for a while.")
    .argument("<id>")
    .addOption(
      new Option("--overlap <duration>", "how long the old one goes on; 0s ends it now")
        .argParser(parseDuration)
        .default(parseDuration("24h"), "24h"),
    )
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = optionsOf<PlaceOptions & { readonly overlap: number }>(command);
      const issued = await (await keeperOf(options)).rotate(options.tenant, id, options.overlap);
      await hand(issued, options, `key ${id}: the token before goes on until ${time(issued.key.previous?.expiresMs)}`);
    });
}

function expireCommand(): Command {
  return new Command("expire")
    .description("End a key, with all of its tokens. Servers notice within 30 seconds.")
    .argument("<id>")
    .option("--at <time>", "ISO 8601, such as 2030-01-31T12:00:00Z; now without it", parseTime)
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = optionsOf<PlaceOptions & { readonly at?: number }>(command);
      const key = await (await keeperOf(options)).expire(options.tenant, id, options.at);
      if (options.json) await writeJson(shown(key));
      else await write(`key ${id} ends at ${time(key.expiresMs)}\n`);
    });
}

async function keeperOf({ dir, table, region }: Globals & PlaceOptions): Promise<KeyKeeper> {
  // Each is loaded where it is needed: the AWS client is slow to load, and may not be installed.
  if (table === undefined) return (await import("../../core/entries/disk-access.ts")).openDiskAccess(dir).keeper;
  return (await import("../../core/entries/aws-access.ts")).openAwsAccess({ table, region }).keeper;
}

/** Prints the token alone to standard output, so that it can be piped to where it belongs without being seen. */
async function hand({ key, token }: IssuedKey, { json }: Globals, told: string): Promise<void> {
  note(told);
  if (json) await writeJson({ token, ...shown(key) });
  else await write(`${token}\n`);
}

interface ShownKey extends Pick<AccessKey, "id" | "tenant" | "name" | "scopes" | "quota"> {
  readonly created: string;
  readonly expires?: string | undefined;
  /** Until then the token before the last rotation is good too. */
  readonly overlapsUntil?: string | undefined;
}

function shown({ id, tenant, name, scopes: held, createdMs, expiresMs, quota, previous }: AccessKey): ShownKey {
  const isOverlapping = previous !== undefined && previous.expiresMs > Date.now();
  return {
    id,
    tenant,
    name,
    scopes: held,
    created: time(createdMs),
    expires: expiresMs === undefined ? undefined : time(expiresMs),
    overlapsUntil: isOverlapping ? time(previous.expiresMs) : undefined,
    quota,
  };
}

async function* jsonLines(keys: readonly AccessKey[]): AsyncGenerator<string> {
  for (const key of keys) yield `${JSON.stringify(shown(key))}\n`;
}

async function* rows(keys: readonly AccessKey[]): AsyncGenerator<readonly string[]> {
  for (const key of keys) {
    const { id, name, scopes: held, created, expires = "never" } = shown(key);
    yield [id, name, held.join(" "), created, expires, quotaText(key.quota)];
  }
}

function summary({ name, scopes: held, expiresMs, quota }: AccessKey): string {
  const ends = expiresMs === undefined ? "does not expire" : `expires ${time(expiresMs)}`;
  return `${printable(name)}, ${held.join(" ")}, ${ends}, quota ${quotaText(quota)}`;
}

function quotaText({ requestsPerMinute, bytesPerDay }: Quota): string {
  const requests = requestsPerMinute === undefined ? [] : [`${requestsPerMinute} requests/min`];
  const bytes = bytesPerDay === undefined ? [] : [`${bytesPerDay} bytes/day`];
  return [...requests, ...bytes].join(", ") || "none";
}

function time(timeMs = 0): string {
  return new Date(timeMs).toISOString();
}

function addScope(text: string, before: readonly Scope[] = []): readonly Scope[] {
  if (isScope(text)) return [...before, text];
  throw new InvalidArgumentError(`A scope is one of ${scopes.join(", ")}.`);
}

function parseNatural(text: string): number {
  const number = /^[1-9]\d*$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new InvalidArgumentError("It is a whole number from 1.");
  return number;
}
