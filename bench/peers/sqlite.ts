import { DatabaseSync } from "node:sqlite";
import path from "node:path";
import type { Peer, PeerKind } from "../peer.ts";
import type { WorkKey } from "../work.ts";
import { load } from "./package.ts";
import { asIs, zstd, type Packing } from "./zstd.ts";

/** What better-sqlite3 and node:sqlite have in common. */
interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): unknown;
}

interface Statement {
  run(...values: (string | Uint8Array)[]): unknown;
  get(...values: string[]): unknown;
  all(...values: string[]): unknown[];
}

interface BetterSqliteModule {
  default: new (file: string) => Database;
}

/** WAL was faster here than a rollback journal (one sync a commit against three), and with FULL it is as durable. */
const setUp = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS payloads (name TEXT PRIMARY KEY, body BLOB NOT NULL);
`;

function sqlitePeer(db: Database, packing: Packing): Peer {
  db.exec(setUp);
  const put = db.prepare("INSERT OR REPLACE INTO payloads (name, body) VALUES (?, ?)");
  const get = db.prepare("SELECT body FROM payloads WHERE name = ?");
  const has = db.prepare("SELECT 1 FROM payloads WHERE name = ?");
  const range = db.prepare("SELECT body FROM payloads WHERE name >= ? AND name < ? ORDER BY name");
  return {
    write: ({ items }) => {
      db.exec("BEGIN IMMEDIATE");
      for (const item of items) put.run(nameOf(item), packing.pack(item.bytes));
      db.exec("COMMIT");
    },
    get: (key) => {
      const row = get.get(nameOf(key)) as { body: Uint8Array } | undefined;
      return row && packing.unpack(row.body);
    },
    has: (key) => has.get(nameOf(key)) !== undefined,
    group: (group) =>
      (range.all(`${group}/`, `${group}0`) as { body: Uint8Array }[]).map(({ body }) => packing.unpack(body)),
    close: () => void db.close(),
  };
}

function nameOf({ group, id }: WorkKey): string {
  return `${group}/${id}`;
}

const fileOf = (directory: string) => path.join(directory, "payloads.sqlite");
const durable = "WAL, `synchronous = FULL`: the log is synced at each commit";

function betterSqliteWith(name: string, packing: Packing): PeerKind {
  return {
    name,
    durable,
    load: async () => {
      const { default: BetterSqlite } = await load<BetterSqliteModule>("better-sqlite3");
      return (directory) => sqlitePeer(new BetterSqlite(fileOf(directory)), packing);
    },
  };
}

function nodeSqliteWith(name: string, packing: Packing): PeerKind {
  return {
    name,
    durable,
    load: async () => (directory) => sqlitePeer(new DatabaseSync(fileOf(directory)), packing),
  };
}

export const betterSqlite: PeerKind = betterSqliteWith("better-sqlite3", asIs);
export const betterSqliteZstd: PeerKind = betterSqliteWith("better-sqlite3 + zstd", zstd);
export const nodeSqlite: PeerKind = nodeSqliteWith("node:sqlite", asIs);
export const nodeSqliteZstd: PeerKind = nodeSqliteWith("node:sqlite + zstd", zstd);
