import { vi } from "vitest";
import { type FaultyServers, startFaultyServers } from "./handlers.ts";

export interface MovedClock {
  readonly servers: FaultyServers;
  readonly pass: (ms: number) => void;
  readonly close: () => Promise<void>;
}

/** Servers and machine with one clock, which a test moves. Timers go on: only what tells the date is ours. */
export async function startWithMovedClock(): Promise<MovedClock> {
  let nowMs = Date.UTC(2026, 10, 21, 12);
  vi.useFakeTimers({ toFake: ["Date"], now: nowMs });
  const servers = await startFaultyServers(() => nowMs);
  return {
    servers,
    pass(ms: number): void {
      nowMs += ms;
      vi.setSystemTime(nowMs);
    },
    async close(): Promise<void> {
      vi.useRealTimers();
      await servers.close();
    },
  };
}

export const minute = 60_000;
export const hour = 3_600_000;
