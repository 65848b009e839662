import type { FileSystem, OpenFile } from "../../core/adapters/disk/file-system.ts";

/** What is asked of a file system between two turns of the event loop. */
export interface Work {
  readonly reads: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

const none: Work = { reads: 0, readBytes: 0, writtenBytes: 0 };

/** The same file system, which counts what is asked of it in each turn of the event loop. */
export function workPerTurn(inner: FileSystem): {
  readonly fs: FileSystem;
  /** The most of each in one turn, while `work` goes on. */
  readonly most: (work: () => Promise<unknown>) => Promise<Work>;
} {
  let now = { ...none };
  let most = { ...none };
  const turn = () => {
    for (const what of ["reads", "readBytes", "writtenBytes"] as const) most[what] = Math.max(most[what], now[what]);
    now = { ...none };
  };
  const open = (...call: Parameters<FileSystem["open"]>): OpenFile => {
    const file = inner.open(...call);
    return {
      size: () => file.size(),
      read: (target, offset) => {
        const bytes = file.read(target, offset);
        now.reads += 1;
        now.readBytes += bytes;
        return bytes;
      },
      write: (parts, offset) => {
        const bytes = file.write(parts, offset);
        now.writtenBytes += bytes;
        return bytes;
      },
      sync: (reason) => file.sync(reason),
      close: () => file.close(),
    };
  };
  return {
    fs: new Proxy(inner, {
      get(target, name) {
        if (name === "open") return open;
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      },
    }),
    most: async (work) => {
      let working = true;
      now = { ...none };
      most = { ...none };
      const next = () => {
        turn();
        if (working) setImmediate(next);
      };
      setImmediate(next);
      await work();
      working = false;
      turn();
      return most;
    },
  };
}
