import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { isPayloadStoreError } from "../../../core/errors.ts";
import type { PayloadStore } from "../../../core/payload-store.ts";
import { noise, prose, text } from "../../conformance/sample-bytes.ts";
import type { RegisterCall } from "../linearizable.ts";

/** A payload by what it begins with, which says who wrote it; "" where there is none. */
export type Register = string;

export type Step = RegisterCall<Register>["step"];

/** One call of a store, as plain data: it can be sent to another process. */
export interface Operation {
  readonly kind: "write" | "create" | "delete" | "delete the group" | "erase" | "erase the group" | "read" | "has";
  readonly group: string;
  /** What it is about: all of the group's ids, where it deletes or erases that. */
  readonly ids: readonly string[];
  /** What it writes. No two operations write the same. */
  readonly value: string;
  /** Too long for a row. */
  readonly long?: boolean;
  /** Calls with one key are one operation: it takes effect once, before the first of them is answered. */
  readonly key?: string;
}

/** What an operation answered, as plain data. */
export type OperationAnswer = string | number | boolean;

export const operationTenant = "acme";

/** @param among  the groups, and how many ids each of them has */
export function drawOperation(
  random: SeededRandom,
  among: { readonly groups: readonly string[]; readonly ids: number },
  value: string,
): Operation {
  const group = random.pick(among.groups);
  const id = () => `${random.between(0, among.ids - 1)}`;
  const all = Array.from({ length: among.ids }, (_, i) => `${i}`);
  const kind = random.between(0, 99);
  const one = { group, ids: [id()], value };
  if (kind < 22) return { ...one, kind: "write" };
  if (kind < 30) return { ...one, kind: "write", ids: [...new Set([id(), id(), id()])] };
  if (kind < 38) return { ...one, kind: "write", long: true };
  if (kind < 46) return { ...one, kind: "write", key: `key of ${value}` };
  if (kind < 62) return { ...one, kind: "create" };
  if (kind < 72) return { ...one, kind: "delete" };
  if (kind < 75) return { ...one, kind: "delete the group", ids: all };
  return { ...one, kind: random.chance(0.8) ? "read" : "has" };
}

/** An erasure, of a group or of some of its ids. */
export function drawErasure(
  random: SeededRandom,
  among: { readonly groups: readonly string[]; readonly ids: number },
  value: string,
): Operation {
  const group = random.pick(among.groups);
  const all = Array.from({ length: among.ids }, (_, i) => `${i}`);
  if (random.chance(0.5)) return { kind: "erase the group", group, ids: all, value };
  return { kind: "erase", group, ids: random.some(all, 2), value };
}

/** @throws as the store does */
export async function runOperation(store: PayloadStore, operation: Operation): Promise<OperationAnswer> {
  const { kind, group, ids, value, key, long = false } = operation;
  const inGroup = { tenant: operationTenant, group };
  const one = { ...inGroup, id: ids[0]! };
  switch (kind) {
    case "write": {
      const bytes = payloadOf(value, long);
      const options = key === undefined ? {} : { idempotencyKey: key };
      const locations = await store.appendMany(
        inGroup,
        ids.map((id) => ({ id, bytes })),
        options,
      );
      return locations.length;
    }
    case "create":
      try {
        await store.append(one, payloadOf(value), { ifAbsent: true });
        return true;
      } catch (error) {
        if (isPayloadStoreError(error, "EXISTS")) return false;
        throw error;
      }
    case "delete":
      return store.delete(one);
    case "delete the group":
      return store.deleteGroup(inGroup);
    case "erase":
      return (await store.erase({ ...inGroup, ids })).id;
    case "erase the group":
      return (await store.erase(inGroup)).id;
    case "read":
      return registerOf(await store.get(one));
    case "has":
      return store.has(one);
  }
}

/** What an answer says about each of the operation's ids. */
export function stepOf({ kind, value }: Operation, answer: OperationAnswer): Step {
  switch (kind) {
    case "write":
      return () => value;
    case "create":
      return (state) => {
        if (answer === true) return state === "" ? value : undefined;
        return state === "" ? undefined : state;
      };
    case "delete":
      return (state) => ((state !== "") === answer ? "" : undefined);
    case "delete the group":
      return (state) => (answer === 0 && state !== "" ? undefined : "");
    case "erase":
    case "erase the group":
      return () => "";
    case "read":
      return (state) => (state === answer ? state : undefined);
    case "has":
      return (state) => ((state !== "") === answer ? state : undefined);
  }
}

/** What may have become of an id where there was no answer; `undefined` where nothing may have. */
export function possibleStepOf({ kind, value }: Operation): Step | undefined {
  switch (kind) {
    case "write":
      return () => value;
    case "create":
      return (state) => (state === "" ? value : undefined);
    case "delete":
    case "delete the group":
    case "erase":
    case "erase the group":
      return () => "";
    case "read":
    case "has":
      return undefined;
  }
}

function payloadOf(value: string, long = false): Uint8Array {
  const rest = long ? noise(8000, value.length) : prose(200, value.length);
  return text(`${value} ${Buffer.from(rest).toString("latin1")}`);
}

/** A payload that differs from what was written by one byte is nobody's. */
function registerOf(bytes: Uint8Array | undefined): Register {
  if (bytes === undefined) return "";
  const value = Buffer.from(bytes).toString().split(" ")[0] ?? "";
  const isWhole = [false, true].some((long) => Buffer.from(payloadOf(value, long)).equals(bytes));
  return isWhole ? value : `${bytes.length} bytes that nobody wrote, from ${value}`;
}
