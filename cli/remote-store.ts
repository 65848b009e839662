import { isPayloadStoreError, PayloadStoreError } from "../core/errors.ts";
import {
  resolveGroup,
  resolveKey,
  resolveTenant,
  type GroupKey,
  type PayloadKey,
  type TenantKey,
} from "../core/key.ts";
import { limits } from "../core/limits.ts";
import type { AppendOptions, Location, PayloadInput, Stats } from "../core/payload.ts";
import { httpLimits } from "../functions/http-limits.ts";
import { splitLines } from "../functions/line-splitter.ts";
import { formatLine } from "../functions/ndjson-lines.ts";
import type { CommandStore, ListedEntry } from "./command-store.ts";
import { connectionFailed, errorFrom } from "./remote-error.ts";

/** A store behind the HTTP face of the process that holds the folder. */
export class RemoteStore implements CommandStore {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async append(key: Required<PayloadKey>, bytes: Uint8Array, options: AppendOptions): Promise<Location> {
    const headers: Record<string, string> = {};
    if (options.contentType !== undefined) headers["content-type"] = options.contentType;
    if (options.ifAbsent === true) headers["if-none-match"] = "*";
    const query = options.codec === undefined ? "" : `?codec=${options.codec}`;
    const body = bytes as Uint8Array<ArrayBuffer>;
    const response = await this.#ask("PUT", payloadPath(key) + query, { headers, body });
    return (await answerOf<{ location: Location }>(response)).location;
  }

  async appendMany(key: GroupKey, items: readonly (PayloadInput & { id: string })[]): Promise<readonly Location[]> {
    const lines = items.map(({ id, bytes, contentType, attributes }) =>
      formatLine({ id, body: bytes, contentType, attributes }),
    );
    const body = lines.join("\n");
    const response = await this.#ask("POST", `${groupPath(key)}/payloads`, { body });
    const { payloads } = await answerOf<{ payloads: readonly { location: Location }[] }>(response);
    return payloads.map(({ location }) => location);
  }

  async get(key: Required<PayloadKey>): Promise<Uint8Array | undefined> {
    const response = await this.#ask("GET", payloadPath(key)).catch(undefinedWhenNotFound);
    return response && new Uint8Array(await response.arrayBuffer().catch(connectionFailed(this.#url)));
  }

  async *list(key: GroupKey): AsyncGenerator<ListedEntry> {
    type Entry = Omit<ListedEntry, "timeMs"> & { readonly time: string };
    let after: string | undefined;
    do {
      const query = new URLSearchParams({
        limit: String(limits.listLimitMax),
        ...(after === undefined ? {} : { after }),
      });
      const response = await this.#ask("GET", `${groupPath(key)}/payloads?${query.toString()}`);
      const page = await answerOf<{ payloads: readonly Entry[]; next?: string }>(response);
      for (const { time, ...entry } of page.payloads) yield { ...entry, timeMs: Date.parse(time) };
      after = page.next;
    } while (after !== undefined);
  }

  async *groups(key: TenantKey): AsyncGenerator<{ group: string; payloads: number }> {
    const pieces = this.#stream(`/v1/${resolveTenant(key)}/groups`);
    for await (const { bytes } of splitLines(pieces, httpLimits.batchBodyBytesMax)) {
      yield JSON.parse(new TextDecoder().decode(bytes)) as { group: string; payloads: number };
    }
  }

  async delete(key: Required<PayloadKey>): Promise<boolean> {
    return (await this.#ask("DELETE", payloadPath(key)).catch(undefinedWhenNotFound)) !== undefined;
  }

  async deleteGroup(key: GroupKey): Promise<number> {
    const response = await this.#ask("DELETE", groupPath(key)).catch(undefinedWhenNotFound);
    return response ? (await answerOf<{ payloads: number }>(response)).payloads : 0;
  }

  async stats(key: TenantKey): Promise<Stats> {
    return answerOf<Stats>(await this.#ask("GET", `/v1/${resolveTenant(key)}/stats`));
  }

  exportLines(key: GroupKey): AsyncIterable<Uint8Array> {
    return this.#stream(`${groupPath(key)}/payloads?include=data`);
  }

  async close(): Promise<void> {
    // Connections wait in fetch's pool, which keeps no process alive.
  }

  async *#stream(path: string): AsyncGenerator<Uint8Array> {
    const response = await this.#ask("GET", path);
    try {
      yield* (response.body as AsyncIterable<Uint8Array> | null) ?? [];
    } catch (error) {
      connectionFailed(this.#url)(error);
    }
  }

  /** @throws {PayloadStoreError} the one the server answered with, or `UNAVAILABLE` when it does not answer */
  async #ask(method: string, path: string, init: Pick<RequestInit, "headers" | "body"> = {}): Promise<Response> {
    const response = await fetch(this.#url + path, { method, ...init }).catch(connectionFailed(this.#url));
    if (!response.ok) throw await errorFrom(response);
    return response;
  }
}

function groupPath(key: GroupKey): string {
  const { tenant, group } = resolveGroup(key);
  return `/v1/${tenant}/groups/${encodeURIComponent(group)}`;
}

function payloadPath(key: PayloadKey): string {
  const { tenant, group, id } = resolveKey(key);
  return `${groupPath({ tenant, group })}/payloads/${encodeURIComponent(id)}`;
}

async function answerOf<Answer>(response: Response): Promise<Answer> {
  try {
    return (await response.json()) as Answer;
  } catch (cause) {
    throw new PayloadStoreError("UNAVAILABLE", `${response.url} gave no whole answer`, { cause });
  }
}

function undefinedWhenNotFound(error: unknown): undefined {
  if (!isPayloadStoreError(error, "NOT_FOUND")) throw error;
}
