import { PayloadStoreError } from "../../errors.ts";

/**
 * How long what a process knows may be acted on, in milliseconds: the longest life of a Lambda invocation. docs/aws.md §4.
 *
 * A process can be frozen between its check and its request, for hours. So the check is made on the date that a request is
 * signed with: the server refuses a signature that is older than minutes, so nothing known longer ago can take effect.
 */
export const knowledgeMsMax: number = 15 * 60_000;

/** The part of a client's middleware stack that is used, the same for every AWS client. */
export interface Middleware {
  addRelativeTo(
    middleware: (next: (args: never) => Promise<never>, context: object) => (args: never) => Promise<never>,
    options: { relation: "after" | "before"; toMiddleware: string; name: string },
  ): void;
}

interface SignedArgs {
  readonly request?: { readonly headers?: Readonly<Record<string, string>> };
}

/**
 * Refuses to send a request that is signed later than {@link knowledgeMsMax} after `knownMs`. Each try of the SDK is signed
 * and checked anew.
 *
 * @param stack  of the command, not of the client
 */
export function fence(stack: unknown, knownMs: number): void {
  (stack as Middleware).addRelativeTo(
    (next) => async (args) => {
      const signedMs = signedAtMs((args as SignedArgs).request?.headers ?? {});
      if (signedMs === undefined || signedMs - knownMs > knowledgeMsMax) {
        throw new PayloadStoreError(
          "UNAVAILABLE",
          "the process was held up for too long to commit safely; the outcome is unknown if it was tried before",
          { details: { knownMs, signedMs: signedMs ?? 0 } },
        );
      }
      return next(args);
    },
    { relation: "after", toMiddleware: "httpSigningMiddleware", name: "paylodeFence" },
  );
}

/** `20261121T061402Z` → milliseconds since 1970. */
function signedAtMs(headers: Readonly<Record<string, string>>): number | undefined {
  const date = headers["x-amz-date"] ?? headers["X-Amz-Date"];
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(date ?? "");
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number);
  return Date.UTC(year!, month! - 1, day, hour, minute, second);
}
