import process from "node:process";
import { type Command, InvalidArgumentError } from "commander";

/** Options that every command has. */
export interface Globals {
  readonly dir: string;
  /** A server to speak to, in place of the folder. */
  readonly url?: string;
  /** The file that holds the key for the server. */
  readonly keyFile?: string;
  readonly tenant: string;
  readonly json?: true;
}

/** The options of a command together with the global ones, wherever on the line they stood. */
export function optionsOf<Options extends object = object>(command: Command): Globals & Options {
  return command.optsWithGlobals();
}

export function defaultDirectory(): string {
  const named = process.env["PAYLODE_DIR"];
  return named === undefined || named === "" ? "./data" : named;
}

export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
  return port;
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** @returns milliseconds */
export function parseDuration(text: string): number {
  const [, number = "", unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitOf = unitMs[unit];
  if (unitOf === undefined)
    throw new InvalidArgumentError("A duration is a whole number with s, m, h or d, such as 90d.");
  return Number(number) * unitOf;
}

/** A duration as {@link parseDuration} takes it, or seconds without a unit. @returns milliseconds */
export function parseInterval(text: string): number {
  if (/^\d{1,8}$/.test(text)) return Number(text) * 1_000;
  try {
    return parseDuration(text);
  } catch {
    throw new InvalidArgumentError("It is a whole number of seconds, or one with s, m, h or d, such as 10m.");
  }
}

/** With a zone, so that it is the same moment on every machine. @returns milliseconds since 1970 */
export function parseTime(text: string): number {
  const timeMs = /T.*(?:Z|[+-]\d{2}:\d{2})$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw new InvalidArgumentError("A time is ISO 8601 with its zone, such as 2030-01-31T12:00:00Z.");
  return timeMs;
}
