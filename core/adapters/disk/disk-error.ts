import { PayloadStoreError } from "../../errors.ts";

const causes: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free some space, then open the store again",
  EDQUOT: "the disk quota is used up: free some space, then open the store again",
  EROFS: "the file system is read-only",
  EACCES: "permission is denied: check who owns the store's folder",
  EPERM: "permission is denied: check who owns the store's folder",
  EMFILE: "too many files are open: raise the limit of open files",
  EIO: "the disk reports an I/O error: check it, then open the store again",
};

/** A file system's error as the store's own: `UNAVAILABLE`, saying what was tried and what to do. */
export function diskError(error: unknown, action: string): PayloadStoreError {
  if (error instanceof PayloadStoreError) return error;
  const code = errorCode(error);
  const cause = (code !== undefined && causes[code]) ?? (error instanceof Error ? error.message : String(error));
  return new PayloadStoreError("UNAVAILABLE", `${action}: ${cause}`, {
    cause: error,
    details: code === undefined ? {} : { errno: code },
  });
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
