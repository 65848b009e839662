import { openDiskAccess } from "../core/entries/disk-access.ts";
import { PayloadStoreError } from "../core/errors.ts";
import type { HttpAccess } from "./access.ts";
import { isLoopbackHost } from "./local-guard.ts";

export interface LocalAccess extends HttpAccess {
  readonly isRequired: () => boolean;
}

export interface LocalAccessOptions {
  readonly directory: string;
  readonly host: string;
  /** Asks for no keys although the folder has some; on a loopback address only. */
  readonly noKeys?: boolean | undefined;
}

/**
 * Whom the server of a folder lets in: on a loopback address everybody, until the folder has its first key; from then on, and
 * on other addresses, holders of keys. What the command line changes is noticed without a restart.
 *
 * @throws {PayloadStoreError} `INVALID` for an address beyond the loopback when the folder has no key in force, or with
 *   `noKeys`; `CORRUPT` when the keys cannot be read
 */
export function localAccess({ directory, host, noKeys }: LocalAccessOptions): LocalAccess {
  const { keys, authenticator, meter } = openDiskAccess(directory);
  const isLocal = isLoopback(host);
  if (!isLocal) {
    if (noKeys === true) throw refusedHost(host, "and is served with keys only");
    if (!keys.hasKeyInForce()) {
      throw refusedHost(host, `and ${directory} has no key in force: \`paylode keys create\` makes one`);
    }
  }
  let isRequired = !isLocal;
  return {
    authenticator,
    meter,
    isRequired() {
      // A file that is removed later opens nothing: the server goes on asking.
      isRequired ||= noKeys !== true && keys.exists();
      return isRequired;
    },
    // By its Host too: behind a proxy on this machine, everybody comes from the loopback.
    isLocal: (request) => isLocal && isLoopbackHost(request.headers.get("host")),
  };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function refusedHost(host: string, why: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", `${JSON.stringify(host)} is not a loopback address, ${why}`);
}
