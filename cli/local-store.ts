import type { PayloadStore } from "../core/payload-store.ts";
import { exportLines } from "../functions/export-lines.ts";
import type { CommandStore } from "./command-store.ts";

/** A store that this process has opened itself. */
export function localStore(store: PayloadStore): CommandStore {
  return {
    append: (key, bytes, options) => store.append(key, bytes, options),
    appendMany: (key, items) => store.appendMany(key, items),
    get: (key) => store.get(key),
    list: (key) => store.list(key),
    find: (question) => store.find(question),
    groups: (key) => store.groups(key),
    delete: (key) => store.delete(key),
    deleteGroup: (key) => store.deleteGroup(key),
    erase: (key) => store.erase(key),
    erasure: (key) => store.erasure(key),
    erasures: (key) => store.erasures(key),
    stats: (key) => store.stats(key),
    exportLines: (key) => exportLines(store, key),
    close: () => store.close(),
  };
}
