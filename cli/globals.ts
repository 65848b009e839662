import process from "node:process";
import { type Command, InvalidArgumentError } from "commander";
import { durationMs } from "../core/duration.ts";

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

/** @returns milliseconds */
export function parseDuration(text: string): number {
  const ms = durationMs(text);
  if (ms === undefined) throw new InvalidArgumentError("A duration is a whole number with s, m, h or d, such as 90d.");
  return ms;
}

/** A duration as {@link parseDuration} takes it, or seconds without a unit. @returns milliseconds */
export function parseInterval(text: string): number {
  const ms = /^\d{1,8}$/.test(text) ? Number(text) * 1_000 : durationMs(text);
  if (ms === undefined)
    throw new InvalidArgumentError("It is a whole number of seconds, or one with s, m, h or d, such as 10m.");
  return ms;
}

/** With a zone, so that it is the same moment on every machine. @returns milliseconds since 1970 */
export function parseTime(text: string): number {
  const timeMs = /T.*(?:Z|[+-]\d{2}:\d{2})$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw new InvalidArgumentError("A time is ISO 8601 with its zone, such as 2030-01-31T12:00:00Z.");
  return timeMs;
}
