import type { ClientPlatform } from "./platform.ts";

/** What every browser, edge runtime and Node has: the only file of the client that names it. */
export const webPlatform: ClientPlatform = {
  // Looked up at each call, and called without an owner, which browsers insist on.
  fetch: (url, init) => fetch(url, init),
  timers: {
    nowMs: () => performance.now(),
    after: (ms, run, isIdle) => {
      const timer = setTimeout(run, ms);
      // On Node a timer is an object that keeps the process alive unless it is told not to.
      if (isIdle === true) (timer as { unref?: () => void }).unref?.();
      return () => clearTimeout(timer);
    },
  },
  random: { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
  sha256: hasSubtle()
    ? async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>))
    : undefined,
};

function hasSubtle(): boolean {
  return (crypto.subtle as unknown) !== undefined;
}
