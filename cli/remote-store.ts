import { openClient, type PayloadClient } from "../core/entries/client.ts";
import type { TenantKey } from "../core/key.ts";
import { exportLines } from "../functions/export-lines.ts";
import type { CommandStore } from "./command-store.ts";

/** Someone waits at a terminal: a server that is not there is told in seconds, one that works for minutes is waited for. */
const patience = { attempts: 6, attemptMs: 600_000, deadlineMs: 600_000 } as const;

/** A store behind HTTP: of the process that holds the folder, or of any server. */
export function remoteStore(url: string, bearer: string | undefined): CommandStore {
  const on = ({ tenant }: TenantKey): PayloadClient => openClient({ url, key: bearer, tenant, ...patience });
  return {
    append: (key, bytes, options) => on(key).append(key, bytes, options),
    appendMany: (key, items) => on(key).appendMany(key, items),
    get: (key) => on(key).get(key),
    list: (key) => on(key).list(key),
    find: (question) => on(question).find(question),
    groups: (key) => on(key).groups(),
    delete: (key) => on(key).delete(key),
    deleteGroup: (key) => on(key).deleteGroup(key),
    erase: ({ tenant, ...selector }) => on({ tenant }).erase(selector),
    erasure: (key) => on(key).erasure(key.erasure),
    erasures: (key) => on(key).erasures(),
    stats: (key) => on(key).stats(),
    exportLines: (key) => exportLines({ contents: () => on(key).contents(key) }, key),
    // Connections wait in fetch's pool, which keeps no process alive.
    close: async () => {},
  };
}
