import { Command } from "commander";
import type { GroupKey, TenantKey } from "../../core/key.ts";
import type { CommandStore, ListedEntry } from "../command-store.ts";
import { optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { writeAll } from "../output.ts";
import { table } from "../table.ts";

export function lsCommand(): Command {
  return new Command("ls")
    .description("List the groups, or the payloads of GROUP in the order they were first written.")
    .argument("[group]")
    .action(async (group: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf(command);
      const { tenant, json } = options;
      await withStore(options, "read", async (store) => {
        const rows = group === undefined ? groupRows(store, { tenant }) : payloadRows(store, { tenant, group });
        if (json) await writeAll(jsonLines(rows));
        else await writeAll(group === undefined ? groupTable(rows) : payloadTable(rows));
      });
    });
}

type Row = Readonly<Record<string, string | number | ListedEntry["attributes"]>>;

async function* groupRows(store: CommandStore, key: TenantKey): AsyncGenerator<Row> {
  for await (const { group, payloads } of store.groups(key)) yield { group, payloads };
}

async function* payloadRows(store: CommandStore, key: GroupKey): AsyncGenerator<Row> {
  for await (const payload of store.list(key)) yield rowOf(payload);
}

function rowOf({ id, bytes, contentType, etag, attributes, timeMs }: ListedEntry): Row {
  return { id, bytes, contentType, etag, attributes, time: new Date(timeMs).toISOString() };
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

async function* cells(rows: AsyncIterable<Row>, members: readonly string[]): AsyncGenerator<readonly string[]> {
  for await (const row of rows) yield members.map((member) => shown(row[member]));
}

function shown(value: Row[string]): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "-";
}
