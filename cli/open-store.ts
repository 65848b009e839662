import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { openDisk } from "../core/entries/disk.ts";
import { isPayloadStoreError, PayloadStoreError } from "../core/errors.ts";
import { bearerKey } from "./bearer-key.ts";
import type { CommandStore } from "./command-store.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";
import type { Globals } from "./globals.ts";
import { localStore } from "./local-store.ts";
import { remoteStore } from "./remote-store.ts";

/** How long a command waits for another one that holds the folder and serves nothing, in milliseconds. */
const lockedMsMax = 1_500;
const lockedPauseMs = 50;

/**
 * What a command wants of the store: to read; to read for as long as its own reader takes; to change what is there; to
 * write, also into a folder that is new.
 */
export type Purpose = "read" | "stream" | "change" | "add";

/** Where the store is. */
export type Place = Pick<Globals, "dir" | "url" | "keyFile">;

/**
 * Opens the folder, or speaks to the server that is named, or that holds the folder.
 *
 * A holder without an address is another command, or a server that is just starting or stopping. Who only reads, reads
 * beside it. Who writes waits a little, since that passes. A stream never holds the folder: in `export | import` the two
 * would wait for each other.
 *
 * @throws {PayloadStoreError} `NOT_FOUND` when there is no folder, unless it is for `add`; `LOCKED`, naming the process,
 *   when it does not let go
 */
export async function openStore(place: Place, purpose: Purpose): Promise<CommandStore> {
  const { dir: directory } = place;
  if (place.url !== undefined) return remoteStore(place.url, await bearerKey(place));
  if (purpose !== "add") checkStore(directory);
  for (let waitedMs = 0; ; waitedMs += lockedPauseMs) {
    try {
      const store = await openDisk({ directory });
      if (purpose !== "stream") return localStore(store);
      await store.close();
      return localStore(await openDisk({ directory, readOnly: true }));
    } catch (error) {
      // A disk that is full or read-only takes no recovery, but what it holds can be read.
      const reads = purpose === "read" || purpose === "stream";
      if (reads && isPayloadStoreError(error, "UNAVAILABLE"))
        return localStore(await openDisk({ directory, readOnly: true }));
      if (!isPayloadStoreError(error, "LOCKED")) throw error;
      const { url } = error.details;
      if (typeof url === "string" && (await answers(url))) return remoteStore(url, await bearerKeyFor(url, place));
      if (reads) return localStore(await openDisk({ directory, readOnly: true }));
      if (waitedMs >= lockedMsMax) throw heldBy(directory, error);
      await pause(lockedPauseMs);
    }
  }
}

/** @throws {PayloadStoreError} `NOT_FOUND` where opening the folder would make a new store of it */
export function checkStore(directory: string): void {
  if (existsSync(join(directory, "store.json")) || existsSync(join(directory, "segments"))) return;
  throw new PayloadStoreError("NOT_FOUND", `there is no store at ${directory}; --dir names another folder`);
}

/**
 * Where the server that holds a folder answers, and the key for it.
 * @throws the refusal in words for someone at a terminal, where none does; what is no refusal, as it is
 */
export async function holderOf(
  place: Place,
  error: unknown,
): Promise<{ readonly url: string; readonly bearer: string | undefined }> {
  if (!isPayloadStoreError(error, "LOCKED")) throw error;
  const { url } = error.details;
  if (typeof url === "string" && (await answers(url))) return { url, bearer: await bearerKeyFor(url, place) };
  throw heldBy(place.dir, error);
}

/** Runs a command on the store, and closes it whatever happens. A failure to close is one of the command. */
export async function withStore<Result>(
  place: Place,
  purpose: Purpose,
  use: (store: CommandStore) => Promise<Result>,
): Promise<Result> {
  const store = await openStore(place, purpose);
  let result: Result;
  try {
    result = await use(store);
  } catch (error) {
    await store.close().catch(() => {});
    throw purpose === "read" || purpose === "stream" ? ofRead(error) : error;
  }
  await store.close();
  return result;
}

/** What stays unknown of a write is nothing to a command that reads. */
function ofRead(error: unknown): unknown {
  if (!isPayloadStoreError(error, "UNAVAILABLE") || error.details["sent"] === false) return error;
  return new CommandFailure(exitCodes.store, `${error.message} (UNAVAILABLE: try again later)`, error);
}

/** The holder's refusal, in words for someone at a terminal. */
export function heldBy(directory: string, error: PayloadStoreError): PayloadStoreError {
  const { pid, url } = error.details;
  const holder = typeof pid === "number" ? `process ${pid}` : "another process";
  const serving = typeof url === "string" ? `, serving ${url},` : "";
  return new PayloadStoreError("LOCKED", `${holder}${serving} holds ${directory}`, {
    cause: error,
    details: error.details,
  });
}

/** The key for a server that nobody named but the folder's lock: it is not told beyond this machine. */
async function bearerKeyFor(url: string, place: Place): Promise<string | undefined> {
  const isHere = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(new URL(url).hostname);
  return isHere ? bearerKey(place) : undefined;
}

/** Whether a server is there: any answer counts, also that the store takes no writes. */
async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(`${url}/healthz`)).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
