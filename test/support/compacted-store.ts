import type { PayloadStore } from "../../core/payload-store.ts";
import { smallBases } from "./resting-blocks.ts";

const walks = new Set(["list", "contents", "groups"]);
const reads = new Set(["get", "getMany", "read", "head", "has", "size"]);
const writes = new Set(["append", "appendMany", "delete", "deleteGroup"]);

/**
 * A store all of whose payloads are compacted before every so many reads, and beside so many writes; what was compacted goes at
 * once, or stays for long. Where payloads lie is not told, since they do not lie there for long.
 */
export function compactedStore<Store extends PayloadStore>(store: Store, everyCalls: number): Store {
  let count = 0;
  const compact = async () => {
    count += 1;
    if (count % everyCalls !== 0) return;
    const graceMs = count % (2 * everyCalls) === 0 ? 0 : 3_600_000;
    // What is refused, since the store is closed, is refused to the call itself as well.
    await store.compact({ graceMs, rules: { ...smallBases, deadShareMin: 0, smallCountMin: 1 } }).catch(() => {});
  };
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      const call = (args: unknown[]): unknown => Reflect.apply(member, target, args);
      if (walks.has(String(name))) {
        return async function* (...args: unknown[]) {
          await compact();
          for await (const each of call(args) as AsyncGenerator<unknown>) yield unlocated(each);
        };
      }
      if (reads.has(String(name)))
        return async (...args: unknown[]) => compact().then(async () => unlocated(await call(args)));
      if (writes.has(String(name))) void compact();
      return (...args: unknown[]) => call(args);
    },
  });
}

function unlocated(answer: unknown): unknown {
  if (typeof answer !== "object" || answer === null || !("location" in answer)) return answer;
  return { ...answer, location: "where it lies now" };
}
