import { rowProtocolVersion } from "../../../core/rows/protocol.ts";
import { formatVersion } from "../../../core/segment/header.ts";
import type { SoakPart } from "./part.ts";

/** What a count is a count of: with another of these it begins anew. */
export interface Lineage {
  readonly formatVersion: number;
  /** Of parts that try the protocol of rows. */
  readonly rowProtocolVersion?: number;
}

/** What the runs of a part say something about, today. */
export function lineageOf({ ofRowProtocol }: Pick<SoakPart, "ofRowProtocol">): Lineage {
  return { formatVersion, ...(ofRowProtocol ? { rowProtocolVersion } : {}) };
}

export function isSameLineage(a: Lineage, b: Lineage): boolean {
  return a.formatVersion === b.formatVersion && a.rowProtocolVersion === b.rowProtocolVersion;
}
