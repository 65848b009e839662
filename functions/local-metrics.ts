import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { CompactionReport } from "../core/compaction/compaction.ts";
import type { PayloadStore } from "../core/payload-store.ts";
import { rawPath } from "./request-path.ts";
import { templateOf } from "./route-table.ts";
import type { MetricsText } from "./routes/route.ts";

/** What became of one request. */
interface Observation {
  readonly method: string;
  readonly route: string;
  readonly status: string;
  readonly seconds: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/**
 * The numbers of a server for Prometheus; docs/http.md §10 names them. Labels have few values, whatever clients send: a
 * path is counted under its template, and no tenant is named.
 */
export class HttpMetrics implements MetricsText {
  readonly #registry = new Registry();
  readonly #requests: Counter<"method" | "route" | "status">;
  readonly #seconds: Histogram<"method" | "route">;
  readonly #requestBytes: Counter<"method" | "route">;
  readonly #responseBytes: Counter<"method" | "route">;
  readonly #compactedSegments: Counter;
  readonly #compactionBytes: Counter<"kind">;
  readonly #expiredPayloads: Counter<"retention">;
  readonly #expiredBytes: Counter<"retention">;

  constructor(store: Pick<PayloadStore, "health" | "storageOfAll">) {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: "paylode_http_requests_total",
      help: "Requests that have ended.",
      labelNames: ["method", "route", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "paylode_http_request_duration_seconds",
      help: "From a request's headers to the end of its answer.",
      labelNames: ["method", "route"],
      // A read from the page cache takes a millisecond, a commit waits for the disk, an export may take minutes.
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
      registers,
    });
    this.#requestBytes = new Counter({
      name: "paylode_http_request_bytes_total",
      help: "Bytes read from connections, headers included.",
      labelNames: ["method", "route"],
      registers,
    });
    this.#responseBytes = new Counter({
      name: "paylode_http_response_bytes_total",
      help: "Bytes written to connections, headers included.",
      labelNames: ["method", "route"],
      registers,
    });
    this.#compactedSegments = new Counter({
      name: "paylode_compacted_segments_total",
      help: "Segments that compaction has emptied.",
      registers,
    });
    this.#compactionBytes = new Counter({
      name: "paylode_compaction_bytes_total",
      help: "Bytes of segments that compaction has read, of payloads it has written again, of segments it has removed.",
      labelNames: ["kind"],
      registers,
    });
    this.#expiredPayloads = new Counter({
      name: "paylode_expired_payloads_total",
      help: "Payloads that had expired when compaction took them away, by retention class; _default: of none, _own: with an expiry of its own.",
      labelNames: ["retention"],
      registers,
    });
    this.#expiredBytes = new Counter({
      name: "paylode_expired_bytes_total",
      help: "Lengths of payloads that had expired when compaction took them away, by retention class.",
      labelNames: ["retention"],
      registers,
    });
    // They are there before the first run.
    for (const kind of ["read", "written", "freed"]) this.#compactionBytes.inc({ kind }, 0);
    for (const expired of [this.#expiredPayloads, this.#expiredBytes]) expired.inc({ retention: "_default" }, 0);
    // The registry keeps the gauge, which asks the store each time it is asked itself.
    void new Gauge({
      name: "paylode_store_writable",
      help: "1 while the store takes writes, else 0.",
      collect() {
        this.set(store.health().ok ? 1 : 0);
      },
      registers,
    });
    void new Gauge({
      name: "paylode_store_degraded",
      help: "1 while an operator should look at the store: /healthz says why.",
      collect() {
        this.set(store.health().degraded.length > 0 ? 1 : 0);
      },
      registers,
    });
    void new Gauge({
      name: "paylode_store_bytes",
      help: "Bytes of segments: payloads that are alive, payloads that are dead, segments that compaction replaced.",
      labelNames: ["kind"],
      collect() {
        const { liveBytes = 0, deadBytes = 0, supersededBytes = 0 } = store.storageOfAll() ?? {};
        for (const [kind, bytes] of Object.entries({ live: liveBytes, dead: deadBytes, superseded: supersededBytes }))
          this.set({ kind }, bytes);
      },
      registers,
    });
    void new Gauge({
      name: "paylode_store_amplification",
      help: "space: bytes of segments for each that is alive. write: bytes written for each that was appended.",
      labelNames: ["of"],
      collect() {
        const { spaceAmplification = 1, writeAmplification = 1 } = store.storageOfAll() ?? {};
        this.set({ of: "space" }, spaceAmplification);
        this.set({ of: "write" }, writeAmplification);
      },
      registers,
    });
    void new Counter({
      name: "paylode_store_written_bytes_total",
      help: "Bytes of pages and blocks written since the store was opened.",
      labelNames: ["by"],
      collect() {
        const { appendedBytes = 0, compactedBytes = 0 } = store.storageOfAll() ?? {};
        this.reset();
        this.inc({ by: "append" }, appendedBytes);
        this.inc({ by: "compaction" }, compactedBytes);
      },
      registers,
    });
  }

  /** What a run of compaction did. */
  compacted({ segments, freedBytes, bytesIn, bytesOut, expired }: CompactionReport): void {
    this.#compactedSegments.inc(segments.length);
    this.#compactionBytes.inc({ kind: "read" }, bytesIn);
    this.#compactionBytes.inc({ kind: "written" }, bytesOut);
    this.#compactionBytes.inc({ kind: "freed" }, freedBytes);
    for (const [retention, { payloads, bytes }] of Object.entries(expired.byRetention)) {
      this.#expiredPayloads.inc({ retention }, payloads);
      this.#expiredBytes.inc({ retention }, bytes);
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return Registry.merge([this.#registry, processMetrics()]).metrics();
  }

  observe({ method, route, status, seconds, requestBytes, responseBytes }: Observation): void {
    this.#requests.inc({ method, route, status });
    this.#seconds.observe({ method, route }, seconds);
    this.#requestBytes.inc({ method, route }, requestBytes);
    this.#responseBytes.inc({ method, route }, responseBytes);
  }
}

type Listener = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** Counts every request that a listener is given, refused and broken ones too. */
export function metered(listener: Listener, metrics: HttpMetrics): Listener {
  const counted = new WeakMap<Socket, { bytesRead: number; bytesWritten: number }>();
  processMetrics();
  return (incoming, outgoing) => {
    const startMs = performance.now();
    // Taken now: an answer that has ended lets go of its socket.
    const { socket } = incoming;
    outgoing.once("close", () => {
      const { bytesRead, bytesWritten } = socket;
      // A connection serves one request after the other: each is given what came and went since the one before.
      const before = counted.get(socket) ?? { bytesRead: 0, bytesWritten: 0 };
      counted.set(socket, { bytesRead, bytesWritten });
      metrics.observe({
        method: methods.has(incoming.method ?? "") ? (incoming.method ?? "") : "other",
        route: templateOf(rawPath(incoming.url ?? "")) ?? "none",
        // The status of an answer that broke off says nothing of how it went.
        status: outgoing.writableFinished ? String(outgoing.statusCode) : "broken",
        seconds: (performance.now() - startMs) / 1_000,
        requestBytes: bytesRead - before.bytesRead,
        responseBytes: bytesWritten - before.bytesWritten,
      });
    });
    listener(incoming, outgoing);
  };
}

const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "POST", "DELETE"]);

let ofProcess: Registry | undefined;

/** Memory, CPU, event loop, garbage collection: of the process, however many servers it has. They are watched from now on. */
function processMetrics(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}
