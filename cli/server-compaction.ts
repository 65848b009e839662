import type { CompactionReport } from "../core/compaction/compaction.ts";
import { joinedReport } from "../core/compaction/joined-report.ts";
import { answerOf } from "../core/client/json-answer.ts";
import { checkedOptions } from "../core/client/options.ts";
import { Transport } from "../core/client/transport.ts";
import { webPlatform } from "../core/client/web-platform.ts";
import { utf8 } from "../core/bytes.ts";

/** A server that compacts the folder it holds: docs/http.md §10. */
export interface ServersAddress {
  readonly url: string;
  readonly bearer: string | undefined;
}

/** A run takes a minute, and may have to wait for another one. */
const patience = { attempts: 6, attemptMs: 600_000, deadlineMs: 600_000 } as const;

/**
 * Asks a server to compact, run after run, until there is nothing more to do or it gets no further.
 * @param onProgress  segments that were emptied so far, and those of the first plan
 * @throws {PayloadStoreError} the server's refusal: `NOT_FOUND` where it does not compact, `FORBIDDEN` without the scope admin
 */
export async function compactServer(
  address: ServersAddress,
  graceMs: number,
  onProgress: (segments: number, ofSegments: number) => void,
): Promise<CompactionReport> {
  const transport = transportTo(address);
  const path = `/compaction?grace=${graceMs / 1_000}`;
  let all: CompactionReport | undefined;
  for (;;) {
    const run = await transport.send({ method: "POST", path }, (answer) =>
      answerOf<CompactionReport>(answer, ["complete"]),
    );
    all = all ? joinedReport(all, run) : run;
    onProgress(all.segments.length, Math.max(all.segments.length, all.plan.segments.length));
    const isStuck = run.segments.length === 0 && run.freed.length === 0;
    if (run.complete || isStuck) return all;
  }
}

/** Has a server begin no run by itself, or go on. */
export async function pauseServer(address: ServersAddress, paused: boolean): Promise<{ readonly paused: boolean }> {
  const body = utf8(JSON.stringify({ paused }));
  const headers = { "content-type": "application/json" };
  return transportTo(address).send({ method: "PUT", path: "/compaction", headers, body }, (answer) =>
    answerOf<{ readonly paused: boolean }>(answer, ["paused"]),
  );
}

function transportTo({ url, bearer }: ServersAddress): Transport {
  // It is about the server: no tenant is named.
  return new Transport(checkedOptions({ url, key: bearer, tenant: "", ...patience }), webPlatform);
}
