/**
 * Runs work that names keys: what shares a key runs one after the other, in the order of the calls, and all else at once.
 * Nobody waits for ever: all keys are taken at the same moment.
 */
export function inTurn(): <Result>(keys: readonly string[], work: () => Promise<Result>) => Promise<Result> {
  const last = new Map<string, Promise<void>>();

  return async (keys, work) => {
    const before = keys.flatMap((key) => last.get(key) ?? []);
    const done = Promise.withResolvers<void>();
    for (const key of keys) last.set(key, done.promise);

    await Promise.all(before);
    try {
      return await work();
    } finally {
      for (const key of keys) if (last.get(key) === done.promise) last.delete(key);
      done.resolve();
    }
  };
}
