import { readFile } from "node:fs/promises";
import process from "node:process";
import { CommandFailure, exitCodes } from "./exit-codes.ts";
import type { Globals } from "./globals.ts";

/** The key for a server: of --key-file, else $PAYLODE_KEY. Not an argument, which every user of the machine could read. */
export async function bearerKey({ keyFile }: Pick<Globals, "keyFile">): Promise<string | undefined> {
  if (keyFile === undefined) return process.env["PAYLODE_KEY"]?.trim() || undefined;
  const text = await readFile(keyFile, "utf8").catch((cause: unknown) => {
    throw new CommandFailure(exitCodes.usage, `--key-file cannot be read: ${(cause as Error).message}`, cause);
  });
  const key = text.trim();
  if (key === "") throw new CommandFailure(exitCodes.usage, `--key-file ${keyFile} is empty`);
  return key;
}
