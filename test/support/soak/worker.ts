import { soakParts } from "./parts.ts";
import type { ChunkResult } from "./part.ts";

/** Asked by the process that started it; answers each chunk with a {@link ChunkResult}. */
export interface ChunkRequest {
  readonly part: string;
  readonly firstSeed: number;
  readonly count: number;
}

process.on("message", (request: ChunkRequest) => {
  void answer(request).then((result) => process.send?.(result));
});

/** A part that throws has found something as well. */
async function answer({ part, firstSeed, count }: ChunkRequest): Promise<ChunkResult> {
  try {
    const found = soakParts[part];
    if (!found) throw new Error(`there is no part ${part}`);
    return await found.run(firstSeed, count);
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { runs: 0, figures: {}, violations: [{ what, firstSeed, count }] };
  }
}
