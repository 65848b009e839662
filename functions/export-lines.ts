import type { GroupKey } from "../core/key.ts";
import type { PayloadStore } from "../core/payload-store.ts";
import { formatLine } from "./ndjson-lines.ts";

/**
 * A group as lines that import it again, in commit order, each with its newline: as it stood when the export began.
 *
 * @throws {PayloadStoreError} `CORRUPT` at the first damaged payload: an export never leaves one out in silence.
 */
export async function* exportLines(store: Pick<PayloadStore, "contents">, key: GroupKey): AsyncGenerator<string> {
  for await (const payload of store.contents(key)) yield `${formatLine(payload)}\n`;
}
