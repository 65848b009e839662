import type { GroupKey } from "../core/key.ts";
import { formatLine, type StoredLine } from "./ndjson-lines.ts";

/** What has groups to export: a store, or a client of one. */
export interface Exported {
  contents(key: GroupKey): AsyncIterable<StoredLine>;
}

/**
 * A group as lines that import it again, in commit order, each with its newline: as it stood when the export began.
 *
 * @throws {PayloadStoreError} `CORRUPT` at the first damaged payload: an export never leaves one out in silence.
 */
export async function* exportLines(store: Exported, key: GroupKey): AsyncGenerator<string> {
  for await (const payload of store.contents(key)) yield `${formatLine(payload)}\n`;
}
