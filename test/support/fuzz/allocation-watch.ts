/** What typed arrays were made while something ran. */
export interface Allocations {
  /** The longest that was asked for, in bytes. */
  readonly largestBytes: number;
  /** All of them together, in bytes. */
  readonly totalBytes: number;
}

const watched = ["Uint8Array", "Uint32Array", "Int32Array", "Float64Array", "ArrayBuffer"] as const;

/**
 * Runs something and tells what lengths it asked typed arrays for, also those that were refused. Counted are arrays made
 * by a length; copies and views cannot be longer than what they are made of.
 *
 * Core names the global constructors where it makes an array, so it meets the ones that are put in their place here.
 */
export async function watchAllocations<T>(run: () => T | Promise<T>): Promise<{ value: T } & Allocations> {
  let largestBytes = 0;
  let totalBytes = 0;
  const originals = watched.map((name) => [name, globalThis[name]] as const);
  for (const [name, original] of originals) {
    const itemBytes = "BYTES_PER_ELEMENT" in original ? original.BYTES_PER_ELEMENT : 1;
    const counting = new Proxy(original, {
      construct(target, args: unknown[], newTarget): object {
        const [length] = args;
        if (typeof length === "number") {
          largestBytes = Math.max(largestBytes, length * itemBytes);
          totalBytes += length * itemBytes;
        }
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
    Object.assign(globalThis, { [name]: counting });
  }
  try {
    const value = await run();
    return { value, largestBytes, totalBytes };
  } finally {
    Object.assign(globalThis, Object.fromEntries(originals));
  }
}
