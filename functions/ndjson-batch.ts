import { PayloadStoreError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { splitLines } from "../core/line-splitter.ts";
import { httpLimits } from "./http-limits.ts";
import { parseLine, type LineKind, type PayloadLine } from "./ndjson-lines.ts";

/**
 * The lines of a batch by group, in the order of their first lines. All of it is checked before anything is returned.
 *
 * @throws {PayloadStoreError} `INVALID` or `TOO_LARGE`, with the line: each is valid, no id comes twice in its group, no
 *   group has more than one commit can hold, and there is at least one line
 */
export async function readBatch(
  body: Uint8Array,
  kind: LineKind,
  payloadBytesMax: number,
): Promise<ReadonlyMap<string, readonly PayloadLine[]>> {
  const groups = new Map<string, Map<string, PayloadLine>>();
  let lines = 0;
  for await (const numbered of splitLines([body], httpLimits.batchBodyBytesMax)) {
    const line = parseLine(numbered, kind, payloadBytesMax);
    const group = groups.get(line.group) ?? new Map<string, PayloadLine>();
    groups.set(line.group, group);
    const twin = group.get(line.id);
    if (twin) throw refused("INVALID", line, `the id ${JSON.stringify(line.id)} was on line ${twin.line} already`);
    group.set(line.id, line);
    lines += 1;
    const { commitPayloadsMax } = limits;
    if (group.size > commitPayloadsMax)
      throw refused("TOO_LARGE", line, `one commit holds ${commitPayloadsMax} payloads`);
    if (lines > httpLimits.batchLinesMax)
      throw refused("TOO_LARGE", line, `one batch has ${httpLimits.batchLinesMax} lines`);
  }
  if (lines === 0) throw new PayloadStoreError("INVALID", "the batch is empty: it has one JSON object a line");
  return new Map([...groups].map(([group, ids]) => [group, [...ids.values()]]));
}

function refused(code: "INVALID" | "TOO_LARGE", { line }: PayloadLine, reason: string): PayloadStoreError {
  return new PayloadStoreError(code, `line ${line}: ${reason}`, { details: { line } });
}
