import type { Middleware } from "./fence.ts";

interface Answer {
  readonly response?: { readonly headers?: Readonly<Record<string, string>> };
}

/**
 * Tells the time of the server that answers a command, also with an error: its `Date`, in whole seconds. Unlike the clocks of
 * handlers it is one for all.
 *
 * @param stack  of the command, not of the client
 */
export function onServerTime(stack: unknown, told: (nowMs: number) => void): void {
  (stack as Middleware).addRelativeTo(
    (next) => async (args) => {
      const answer = await next(args);
      const nowMs = Date.parse((answer as Answer).response?.headers?.["date"] ?? "");
      if (!Number.isNaN(nowMs)) told(nowMs);
      return answer;
    },
    { relation: "after", toMiddleware: "deserializerMiddleware", name: "paylodeServerTime" },
  );
}
