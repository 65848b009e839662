import type { Random } from "../ports/random.ts";

/** What the client asks of where it runs. Time, chance and the network come in here, so that tests own them. */
export interface ClientPlatform {
  readonly fetch: Fetch;
  readonly timers: Timers;
  readonly random: Random;
  /** SHA-256 of `bytes`, 32 bytes. Missing where there is none: browsers keep it from pages without TLS. */
  readonly sha256: ((bytes: Uint8Array) => Promise<Uint8Array>) | undefined;
}

/** The part of the Web's `fetch` that is used. hono's `app.request` and service bindings are such a function too. */
export type Fetch = (url: string, init: FetchInit) => Response | Promise<Response>;

export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal;
  readonly body?: Uint8Array<ArrayBuffer> | Blob;
  /** The request outlives its page. */
  readonly keepalive?: boolean;
}

export interface Timers {
  /** Milliseconds of a clock that never steps back, from any start. */
  nowMs(): number;
  /**
   * Runs something once after so many milliseconds, unless the answered function is called before.
   * @param isIdle  a process with nothing else to do need not wait for it
   */
  after(ms: number, run: () => void, isIdle?: boolean): () => void;
}

/** Decodes a stored frame to exactly `rawBytes` bytes, or answers `undefined` where it is no such frame. */
export type FrameDecoder = (frame: Uint8Array, rawBytes: number) => Uint8Array | undefined;

/** Decoders by the names that HTTP has for them. */
export type FrameDecoders = Readonly<Record<"zstd" | "lz4", FrameDecoder>>;
