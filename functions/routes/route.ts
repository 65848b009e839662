import type { Context } from "hono";
import type { GenericSchema } from "valibot";
import type { Scope } from "../../core/access/scope.ts";
import type { CompactionReport } from "../../core/compaction/compaction.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import type { PathNames } from "../request-path.ts";

/** One method of one path: what it does, and what docs/openapi.json says of it. */
export interface Route {
  readonly description: RouteDescription;
  readonly handle: Handle;
  /**
   * Who may use it where keys are asked for. By default a key of the path's tenant with the scope of the method; `open` to
   * everybody; of the `server` itself, to keys with the scope admin and, to look, on the machine; or with another scope than the method's.
   */
  readonly access?: "open" | "server" | { readonly scope: Scope };
  /** It looks at everything that a tenant has: a server whose index lies in DynamoDB does not offer it. docs/aws.md §6. */
  readonly scans?: true;
}

/** The names are decoded; `context.req.param` is not used, since it would decode again. */
export type Handle = (
  context: Context,
  names: PathNames,
  store: PayloadStore,
  server: ServersOwn,
) => Response | Promise<Response>;

/** What a server has of its own beside the store. One that serves a folder has all of it, a function on Lambda nothing. */
export interface ServersOwn {
  readonly metrics?: MetricsText | undefined;
  readonly compaction?: CompactionControl | undefined;
}

/** Compaction that a server does by itself, and when it is asked to. */
export interface CompactionControl {
  readonly state: CompactionState;
  pause(): void;
  resume(): void;
  now(wish: { readonly graceMs?: number | undefined }): Promise<CompactionReport>;
}

export interface CompactionState {
  readonly paused: boolean;
  readonly running: boolean;
  /** 0 where it begins no run by itself. */
  readonly everySeconds: number;
}

/** Numbers for Prometheus. Only a server that lives long enough to be asked twice keeps any. */
export interface MetricsText {
  readonly contentType: string;
  text(): Promise<string>;
}

/** The path's own names are not listed: they follow from the path. */
export interface RouteDescription {
  /** Names the operation in generated clients. */
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly query?: Readonly<Record<string, InputDescription>>;
  readonly headers?: Readonly<Record<string, InputDescription>>;
  readonly body?: ContentDescription;
  /** Status → answer. */
  readonly answers: Readonly<Record<number, AnswerDescription>>;
  /** Codes it can answer with, besides those that every route has; their statuses follow from them. */
  readonly problems: readonly ErrorCode[];
}

export interface InputDescription {
  /** It may be left out, unless this says otherwise. */
  readonly required?: true;
  readonly description: string;
  readonly schema: GenericSchema;
}

export interface AnswerDescription {
  readonly description: string;
  /** Name → what it says. They are always there. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly content?: readonly ContentDescription[];
}

export type ContentDescription =
  | { readonly kind: "json" | "problem"; readonly schema: GenericSchema }
  /** The schema is that of one line. */
  | { readonly kind: "ndjson"; readonly schema: GenericSchema }
  | { readonly kind: "bytes" | "text" };

/** The answer to a request as JSON. */
export function json(value: unknown, status = 200): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}
