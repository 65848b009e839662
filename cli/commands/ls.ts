import { Command, InvalidArgumentError, Option } from "commander";
import type { FindQuestion } from "../../core/find.ts";
import type { TenantKey } from "../../core/key.ts";
import { hasTerms } from "../../core/page/terms.ts";
import type { Attributes } from "../../core/payload.ts";
import type { CommandStore, ListedEntry } from "../command-store.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { printable, writeAll } from "../output.ts";
import { table } from "../table.ts";

export function lsCommand(): Command {
  return new Command("ls")
    .description(
      "List the groups, or the payloads of GROUP in the order they were first written; or the payloads with attributes.",
    )
    .argument("[group]")
    .addOption(
      new Option("--where <name=value>", "only payloads with this attribute; several times for several").argParser(
        withTerm,
      ),
    )
    .action(async (group: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<{ readonly where?: Attributes }>(command);
      const { tenant, where, json } = options;
      await withStore(options, "read", async (store) => {
        const { rows, columns } = asked(store, tenant, group, where);
        await writeAll(json ? jsonLines(rows) : columns(rows));
      });
    });
}

interface Listing {
  readonly rows: AsyncIterable<Row>;
  readonly columns: (rows: AsyncIterable<Row>) => AsyncGenerator<string>;
}

function asked(store: CommandStore, tenant: string, group: string | undefined, where: Attributes | undefined): Listing {
  if (group !== undefined) return { rows: payloadRows(store, { tenant, group }, where), columns: payloadTable };
  if (where !== undefined) return { rows: foundRows(store, { tenant, where }), columns: foundTable };
  return { rows: groupRows(store, { tenant }), columns: groupTable };
}

/** Takes one more attribute. A name with an equals sign in it cannot be asked for here. */
function withTerm(text: string, before: Attributes = {}): Attributes {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("An attribute is name=value.");
  const name = text.slice(0, equals);
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError("No payload has two values of one attribute.");
  return { ...before, [name]: text.slice(equals + 1) };
}

type Row = Readonly<Record<string, string | number | ListedEntry["attributes"]>>;

async function* groupRows(store: CommandStore, key: TenantKey): AsyncGenerator<Row> {
  for await (const { group, payloads } of store.groups(key)) yield { group, payloads };
}

async function* payloadRows(
  store: CommandStore,
  key: TenantKey & { readonly group: string },
  where: Attributes = {},
): AsyncGenerator<Row> {
  const terms = Object.entries(where);
  let isThere = false;
  for await (const payload of store.list(key)) {
    isThere = true;
    if (terms.length === 0 || hasTerms(payload.attributes, terms)) yield rowOf(payload);
  }
  // A group is there as long as it has a payload.
  if (!isThere) throw new CommandFailure(exitCodes.notFound, `no group ${printable(key.group)}`);
}

async function* foundRows(store: CommandStore, question: FindQuestion): AsyncGenerator<Row> {
  for await (const payload of store.find(question)) yield { group: payload.group, ...rowOf(payload) };
}

function rowOf({ id, bytes, contentType, etag, attributes, timeMs, expiresMs }: ListedEntry): Row {
  const expiresAt = expiresMs === undefined ? undefined : new Date(expiresMs).toISOString();
  return { id, bytes, contentType, etag, attributes, time: new Date(timeMs).toISOString(), expiresAt };
}

async function* jsonLines(rows: AsyncIterable<Row>): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(row)}\n`;
}

function groupTable(rows: AsyncIterable<Row>): AsyncGenerator<string> {
  return table(["group", "payloads"], new Set(["payloads"]), cells(rows, ["group", "payloads"]));
}

function payloadTable(rows: AsyncIterable<Row>): AsyncGenerator<string> {
  const members = ["id", "bytes", "contentType", "time"];
  return table(["id", "bytes", "type", "time"], new Set(["bytes"]), cells(rows, members));
}

function foundTable(rows: AsyncIterable<Row>): AsyncGenerator<string> {
  const members = ["group", "id", "bytes", "contentType", "time"];
  return table(["group", "id", "bytes", "type", "time"], new Set(["bytes"]), cells(rows, members));
}

async function* cells(rows: AsyncIterable<Row>, members: readonly string[]): AsyncGenerator<readonly string[]> {
  for await (const row of rows) yield members.map((member) => shown(row[member]));
}

function shown(value: Row[string]): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "-";
}
