import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { openDisk } from "../core/entries/disk.ts";
import { isPayloadStoreError, PayloadStoreError } from "../core/errors.ts";
import type { CommandStore } from "./command-store.ts";
import { localStore } from "./local-store.ts";
import { RemoteStore } from "./remote-store.ts";

/** How long a command waits for another one that holds the folder and serves nothing, in milliseconds. */
const lockedMsMax = 1_500;
const lockedPauseMs = 50;

/**
 * Opens the folder, or speaks to the server that holds it.
 *
 * A holder without an address is another command, or a server that is just starting or stopping: that passes, so it is
 * waited for a little.
 *
 * @param options.create  whether a folder that is not there may be made
 * @throws {PayloadStoreError} `NOT_FOUND` when there is no folder; `LOCKED`, naming the process, when it does not let go
 */
export async function openStore(directory: string, options: { readonly create?: boolean } = {}): Promise<CommandStore> {
  if (options.create !== true && !existsSync(directory)) {
    throw new PayloadStoreError("NOT_FOUND", `there is no store at ${directory}; --dir names another folder`);
  }
  for (let waitedMs = 0; ; waitedMs += lockedPauseMs) {
    try {
      return localStore(await openDisk({ directory }));
    } catch (error) {
      if (!isPayloadStoreError(error, "LOCKED")) throw error;
      const { url } = error.details;
      if (typeof url === "string" && (await answers(url))) return new RemoteStore(url);
      if (waitedMs >= lockedMsMax) throw heldBy(directory, error);
      await pause(lockedPauseMs);
    }
  }
}

/** Runs a command on the store, and closes it whatever happens. A failure to close is one of the command. */
export async function withStore<Result>(
  directory: string,
  options: { readonly create?: boolean },
  use: (store: CommandStore) => Promise<Result>,
): Promise<Result> {
  const store = await openStore(directory, options);
  let result: Result;
  try {
    result = await use(store);
  } catch (error) {
    await store.close().catch(() => {});
    throw error;
  }
  await store.close();
  return result;
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

/** Whether a server is there: any answer counts, also that the store takes no writes. */
async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(`${url}/healthz`)).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
