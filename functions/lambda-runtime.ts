/**
 * What Lambda and its runtime for Node give a handler that streams, as far as it is used. The runtime brings no types.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
 */
export interface LambdaRuntime {
  streamifyResponse(handler: StreamingHandler): StreamingHandler;
  readonly HttpResponseStream: {
    /** Status and headers go out with the first `write`, also one of nothing, and never without one. */
    from(stream: ResponseStream, head: ResponseHead): ResponseStream;
  };
}

export type StreamingHandler = (
  event: FunctionUrlEvent,
  stream: ResponseStream,
  context: LambdaContext,
) => Promise<void>;

export interface ResponseHead {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** No `Writable`, but an object with its methods. */
export interface ResponseStream {
  /** Whether more may be written before `drain`. */
  write(piece: Uint8Array | string): boolean;
  end(): void;
  on(event: "drain" | "close" | "error", listener: () => void): unknown;
  off(event: "drain" | "close" | "error", listener: () => void): unknown;
}

export interface LambdaContext {
  readonly awsRequestId: string;
  getRemainingTimeInMillis(): number;
}

/** An event of a function URL, payload format 2.0. https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html */
export interface FunctionUrlEvent {
  /** As it was sent, percent-encoding and all; an HTTP API would decode it. */
  readonly rawPath: string;
  /** Percent-encoded, but a `+` may have become a space. Empty where there is none. */
  readonly rawQueryString: string;
  /** Names in lower case; several values of one name with commas between. */
  readonly headers: Readonly<Record<string, string>>;
  readonly cookies?: readonly string[];
  readonly requestContext: {
    readonly domainName: string;
    readonly http: { readonly method: string };
  };
  /** Base64, unless the content type is one of text. Absent where there is none. */
  readonly body?: string;
  readonly isBase64Encoded: boolean;
}
