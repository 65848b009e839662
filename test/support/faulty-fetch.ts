import type { Fetch, FetchInit } from "../../core/entries/client.ts";

/** What happens to one request. */
export type NetworkFault =
  /** The connection breaks before the server has the request, or after it has done it. */
  | { readonly kind: "reset"; readonly when: "before" | "after" }
  /** Something on the way answers in the server's place. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** It is done; its answer breaks off in the middle, or ends there as if it were whole. */
  | { readonly kind: "cut"; readonly ending: "broken" | "quiet" }
  /** Nothing comes until the client gives up; the server has the request or not. */
  | { readonly kind: "silence"; readonly when: "before" | "after" };

export interface SentRequest {
  readonly url: string;
  readonly init: FetchInit;
  readonly text: string;
  readonly atMs: number;
  /** What the server answered, also where nobody learned of it. */
  answered?: number;
}

/** A network with faults: each request has the one that `script` says, and is recorded. */
export class FaultyNetwork {
  readonly sent: SentRequest[] = [];
  readonly #server: Fetch;
  readonly #script: (request: SentRequest, number: number) => NetworkFault | undefined;
  readonly #nowMs: () => number;
  /** Runs after a request took effect, before its answer is lost. */
  onTaken: (request: SentRequest) => Promise<void> | void = () => {};

  constructor(
    server: Fetch,
    script: (request: SentRequest, number: number) => NetworkFault | undefined,
    nowMs: () => number,
  ) {
    this.#server = server;
    this.#script = script;
    this.#nowMs = nowMs;
  }

  readonly fetch: Fetch = async (url, init) => {
    const request: SentRequest = { url, init, text: textOf(init), atMs: this.#nowMs() };
    this.sent.push(request);
    const fault = this.#script(request, this.sent.length);
    if (fault?.kind === "status")
      return new Response(fault.body ?? "", { status: fault.status, headers: fault.headers ?? {} });
    if (fault?.kind === "reset" && fault.when === "before") throw reset();
    if (fault?.kind === "silence" && fault.when === "before") return silence(init.signal);
    const response = await this.#server(url, init);
    request.answered = response.status;
    if (!fault) return response;
    await this.onTaken(request);
    if (fault.kind === "reset") throw reset();
    if (fault.kind === "silence") return silence(init.signal);
    return cut(response, fault.ending);
  };
}

function reset(): TypeError {
  return new TypeError("fetch failed", { cause: new Error("read ECONNRESET") });
}

function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

async function cut(response: Response, ending: "broken" | "quiet"): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  let half: Uint8Array | undefined = bytes.subarray(0, bytes.length >> 1);
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (half) controller.enqueue(half);
        else if (ending === "broken") controller.error(new TypeError("terminated"));
        else controller.close();
        half = undefined;
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { status: response.status, headers: response.headers });
}

function textOf({ body }: FetchInit): string {
  return body instanceof Blob ? "" : new TextDecoder().decode(body);
}
