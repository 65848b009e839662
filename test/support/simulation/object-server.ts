import type { World } from "./world.ts";

export interface StoredObject {
  readonly bytes: Uint8Array;
  /** When it was put, by the server's clock. */
  readonly putMs: number;
}

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  readonly putMs: number;
}

/** Objects of one bucket, as their server keeps them: each call is one step. */
export class ObjectServer {
  readonly #world: World;
  readonly #objects = new Map<string, StoredObject>();

  constructor(world: World) {
    this.#world = world;
  }

  put(key: string, bytes: Uint8Array): void {
    this.#objects.set(key, { bytes: bytes.slice(), putMs: this.#world.nowMs() });
  }

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key);
  }

  /** Everything that is there. */
  all(): Iterable<readonly [key: string, object: StoredObject]> {
    return this.#objects;
  }

  remove(key: string): void {
    this.#objects.delete(key);
  }

  /** At most `count` objects whose keys begin with `prefix` and come after `after`, in order. */
  list(prefix: string, after: string, count: number): readonly ListedObject[] {
    return [...this.#objects]
      .map(([key, { bytes, putMs }]) => ({ key, bytes: bytes.length, putMs }))
      .filter(({ key }) => key.startsWith(prefix) && key > after)
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .slice(0, count);
  }
}
