import type { PeerKind } from "../peer.ts";
import { cacache, cacacheZstd } from "./cacache.ts";
import { files } from "./files.ts";
import { level, levelZstd } from "./level.ts";
import { lmdb, lmdbZstd } from "./lmdb.ts";
import { paylode } from "./paylode.ts";
import { betterSqlite, betterSqliteZstd, nodeSqlite, nodeSqliteZstd } from "./sqlite.ts";

/** In the order of a round. */
export const peers: readonly PeerKind[] = [
  paylode,
  lmdb,
  level,
  betterSqlite,
  nodeSqlite,
  lmdbZstd,
  levelZstd,
  betterSqliteZstd,
  nodeSqliteZstd,
  files,
  cacache,
  cacacheZstd,
];

export function peerNamed(name: string): PeerKind {
  const peer = peers.find((kind) => kind.name === name);
  if (!peer)
    throw new Error(
      `there is no peer ${JSON.stringify(name)}; there are: ${peers.map((kind) => kind.name).join(", ")}`,
    );
  return peer;
}
