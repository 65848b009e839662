import { isPayloadStoreError } from "../errors.ts";

/**
 * What a commit reads of a page that it replaces or hides, `undefined` where that cannot be read: the page to commit is durable
 * already, so it costs exactness, never the commit.
 */
export async function readable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isPayloadStoreError(error)) return undefined;
    throw error;
  }
}
