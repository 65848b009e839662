import { setImmediate } from "node:timers/promises";

/** Gives turns of the event loop to those who ask for one: to each its own, in the order in which they ask. */
export function oneATurn(): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => (last = last.then(() => setImmediate()));
}
