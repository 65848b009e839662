import type { Hono } from "hono";
import { accessOver, type Access } from "../../core/access/access.ts";
import type { Quota } from "../../core/access/access-key.ts";
import { type Scope, scopes } from "../../core/access/scope.ts";
import { MemoryKeyStore } from "../../core/adapters/memory/memory-key-store.ts";
import { MemoryUsageLedger } from "../../core/adapters/memory/memory-usage-ledger.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { openMemory } from "../../core/entries/memory.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import { createApp } from "../../functions/app.ts";
import type { HttpAccess } from "../../functions/access.ts";
import { ManualClock } from "./manual-clock.ts";

/** An app over memory that asks for keys. */
export interface KeyedApp {
  readonly app: Hono;
  readonly store: PayloadStore;
  readonly access: Access;
  readonly clock: ManualClock;
  /** A new key's token; without scopes, all but admin. */
  token(tenant: string, held?: readonly Scope[], quota?: Quota): Promise<string>;
  ask(token: string | undefined, method: string, path: string, init?: RequestInit): Promise<Response>;
}

export function keyedApp(
  options: { readonly store?: PayloadStore; readonly isLocal?: HttpAccess["isLocal"] } = {},
): KeyedApp {
  const store = options.store ?? openMemory();
  const clock = new ManualClock();
  const ports = { clock, random: new SystemRandom(), digest: nodeDigest };
  const access = accessOver({ ...ports, keys: new MemoryKeyStore(), ledger: new MemoryUsageLedger() });
  const metrics = { contentType: "text/plain", text: async () => "metrics" };
  const app = createApp(store, { metrics, access: { ...access, isLocal: options.isLocal } });
  return {
    app,
    store,
    access,
    clock,
    async token(tenant, held = scopes.filter((scope) => scope !== "admin"), quota = {}) {
      return (await access.keeper.create({ tenant, name: "test", scopes: held, quota })).token;
    },
    async ask(token, method, path, init = {}) {
      const headers = new Headers(init.headers);
      if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
      return app.request(path, { ...init, method, headers });
    },
  };
}
