import { resolve } from "node:path";
import { accessOver, type Access } from "../access/access.ts";
import { DiskKeyStore } from "../adapters/disk/disk-key-store.ts";
import { Layout } from "../adapters/disk/layout.ts";
import { NodeFileSystem } from "../adapters/disk/node-file-system.ts";
import { MemoryUsageLedger } from "../adapters/memory/memory-usage-ledger.ts";
import { systemClock } from "../adapters/node/clock.ts";
import { nodeDigest } from "../adapters/node/digest.ts";
import { SystemRandom } from "../adapters/node/random.ts";
import type { Machine } from "./disk.ts";

export interface DiskAccess extends Access {
  readonly keys: DiskKeyStore;
}

/**
 * The keys of a store's folder, whoever holds that. Quotas are counted in this process alone, and anew when it starts.
 * Nothing is read or made until it is asked for.
 */
export function openDiskAccess(directory: string, machine: Partial<Omit<Machine, "pid">> = {}): DiskAccess {
  const clock = machine.clock ?? systemClock;
  const random = machine.random ?? new SystemRandom();
  const fs = machine.fs ?? new NodeFileSystem();
  const keys = new DiskKeyStore({ fs, layout: new Layout(resolve(directory)), clock, digest: nodeDigest });
  return { keys, ...accessOver({ keys, ledger: new MemoryUsageLedger(), clock, random, digest: nodeDigest }) };
}
