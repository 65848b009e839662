import { refuseHeldUp } from "../../rows/knowledge.ts";

/** The part of a client's middleware stack that is used, the same for every AWS client. */
export interface Middleware {
  addRelativeTo(
    middleware: (next: (args: never) => Promise<never>, context: object) => (args: never) => Promise<never>,
    options: { relation: "after" | "before"; toMiddleware: string; name: string },
  ): void;
}

/** When a request was signed. */
export interface Signature {
  /**
   * Milliseconds since 1970, of the last try. The server took it, so it lies minutes from the server's own time, whatever the
   * clock of this machine says: the SDK corrects for that. 0 before the request is sent, and where it has no date.
   */
  readonly signedMs: number;
}

interface SignedArgs {
  readonly request?: { readonly headers?: Readonly<Record<string, string>> };
}

/**
 * Notes when a request is signed, and refuses to send one that is signed later than {@link knowledgeMsMax} after what it
 * rests on. Each try of the SDK is signed and checked anew.
 *
 * @param stack  of the command, not of the client
 * @param knownMs  when what it rests on was known: the date of another signature, so that both are the server's time;
 *   `Infinity` where it rests on nothing
 */
export function fence(stack: unknown, knownMs: number): Signature {
  const signature = { signedMs: 0 };
  (stack as Middleware).addRelativeTo(
    (next) => async (args) => {
      signature.signedMs = signedAtMs((args as SignedArgs).request?.headers ?? {}) ?? 0;
      refuseHeldUp(knownMs, signature.signedMs);
      return next(args);
    },
    { relation: "after", toMiddleware: "httpSigningMiddleware", name: "paylodeFence" },
  );
  return signature;
}

/** Notes when a request is signed. */
export function signatureOf(stack: unknown): Signature {
  return fence(stack, Infinity);
}

/** `20261121T061402Z` → milliseconds since 1970. */
function signedAtMs(headers: Readonly<Record<string, string>>): number | undefined {
  const date = headers["x-amz-date"] ?? headers["X-Amz-Date"];
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(date ?? "");
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number);
  return Date.UTC(year!, month! - 1, day, hour, minute, second);
}
