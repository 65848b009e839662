import type { Machine, Version } from "./machine.ts";
import type { CallersResult } from "./measures/callers.ts";
import type { CodecChoice, CodecResult } from "./measures/codec.ts";
import type { FloorResult } from "./measures/floor.ts";
import type { HttpResult, HttpTask } from "./measures/http.ts";
import type { KilledChoice, KilledResult } from "./measures/killed.ts";
import type { OpenResult } from "./measures/open.ts";
import type { ReadResult } from "./measures/read.ts";
import type { RebuildResult } from "./measures/rebuild.ts";
import type { SingleResult } from "./measures/single.ts";
import type { WriteResult } from "./measures/write.ts";

/** What one peer did, round by round. */
export interface PeerRounds {
  readonly name: string;
  readonly durable: string;
  readonly write: WriteResult[];
  readonly callers: CallersResult[];
  readonly open: OpenResult[];
  readonly read: ReadResult[];
}

/** One run of the benchmarks: every round's figures, and what they were measured on. Kept in bench/records. */
export interface BenchRecord {
  readonly date: string;
  readonly version: Version;
  readonly machine: Machine;
  readonly work: {
    readonly source: string;
    readonly payloads: number;
    readonly batchPayloads: number;
    readonly rawBytes: number;
    readonly medianBytes: number;
  };
  readonly rounds: number;
  readonly peers: readonly PeerRounds[];
  /** Peers whose package is not there. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
  readonly rebuild: RebuildResult[];
  readonly killed: readonly { readonly choice: KilledChoice; readonly rounds: readonly KilledResult[] }[];
  readonly single: SingleResult[];
  readonly floor: FloorResult[];
  readonly codecs: readonly {
    readonly choice: CodecChoice;
    readonly payloads: number;
    readonly rounds: readonly CodecResult[];
  }[];
  readonly http: readonly { readonly server: HttpTask["server"]; readonly rounds: readonly HttpResult[] }[];
  /** How long the run took. */
  readonly seconds: number;
}
