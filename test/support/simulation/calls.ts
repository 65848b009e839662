import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { utf8 } from "../../../core/bytes.ts";
import { isPayloadStoreError } from "../../../core/errors.ts";
import type { ErasureSelector } from "../../../core/erasure/erasure.ts";
import type { PayloadStore } from "../../../core/payload-store.ts";
import type { Location, PayloadInput } from "../../../core/payload.ts";
import { collect } from "../../conformance/expectations.ts";

/** What a client asks of a store, as plain data. */
export interface Call {
  readonly kind:
    | "write"
    | "create"
    | "delete"
    | "delete the group"
    | "erase"
    | "erase the group"
    | "erase what is meant"
    | "get"
    | "has"
    | "get many"
    | "list"
    | "contents"
    | "find";
  /** Of all groups {@link everyGroup}. */
  readonly group: string;
  readonly ids: readonly string[];
  /** What it writes. No two calls write the same. */
  readonly value: string;
  /** Calls with one key are one request: it takes effect once. */
  readonly key?: string;
  /** What it writes has this attribute, or it is looked for. */
  readonly subject?: string;
  /** When what it writes expires, milliseconds since 1970, or the class that says so. */
  readonly expires?: number | string;
  /** What it erases, where that is not said by ids. */
  readonly selector?: ErasureSelector;
}

/** What was seen of ids: what they hold, "" for nothing. */
export type Seen = Readonly<Record<string, string>>;

/** What was found in each group that has something. */
export type Found = Readonly<Record<string, Seen>>;

export type Answer =
  | { readonly kind: "done"; readonly locations?: readonly Location[] }
  /** Its condition did not hold: there was a payload, or there was none. */
  | { readonly kind: "refused" }
  | { readonly kind: "cleared"; readonly payloads: number }
  | { readonly kind: "erased" }
  /** `together`: as they were at one moment. */
  | { readonly kind: "seen"; readonly seen: Seen; readonly together: boolean }
  | { readonly kind: "has"; readonly has: boolean }
  | { readonly kind: "found"; readonly found: Found };

const textDecoder = new TextDecoder();

export const tenant = "acme";

/** Stands for a group where a call is of all of them. */
export const everyGroup = "*";

export const idsOf = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `${i}`);

/** As bytes in which no other value is found. */
export function bodyOf(value: string): Uint8Array {
  return utf8(`<${value}>`);
}

/** What calls are drawn of. */
export interface CallKind {
  readonly groups: readonly string[];
  /** How many ids each group has. */
  readonly ids: number;
  /** Some calls erase. */
  readonly erases: boolean;
}

export function drawCall(random: SeededRandom, { groups, ids, erases }: CallKind, value: string): Call {
  const group = random.pick(groups);
  const all = idsOf(ids);
  const one = { group, ids: [random.pick(all)], value };
  const key = random.chance(0.3) ? { key: `key of ${value}` } : {};
  if (erases && random.chance(0.15)) {
    const erased = random.some(all, random.between(1, ids));
    return random.chance(0.3)
      ? { group, value, kind: "erase the group", ids: all }
      : { group, value, kind: "erase", ids: erased };
  }
  const kind = random.between(0, 99);
  if (kind < 18) return { ...one, ...key, kind: "write" };
  if (kind < 26) return { ...one, ...key, kind: "write", ids: random.some(all, random.between(1, ids)) };
  if (kind < 44) return { ...one, ...key, kind: "create" };
  if (kind < 57) return { ...one, ...key, kind: "delete" };
  if (kind < 61) return { ...one, kind: "delete the group", ids: all };
  if (kind < 84) return { ...one, kind: "get" };
  if (kind < 88) return { ...one, kind: "has" };
  if (kind < 93) return { ...one, kind: "get many", ids: all };
  if (kind < 97) return { ...one, kind: "list", ids: all };
  return { ...one, kind: "contents", ids: all };
}

/** @throws as the store does */
export async function makeCall(store: PayloadStore, call: Call): Promise<Answer> {
  const { kind, group, ids, value, key } = call;
  const inGroup = { tenant, group };
  const one = { ...inGroup, id: ids[0]! };
  const options = key === undefined ? {} : { idempotencyKey: key };
  const kept = keptAs(call);
  const bytes = bodyOf(value);
  switch (kind) {
    case "write": {
      if (ids.length === 1)
        return { kind: "done", locations: [await store.append(one, bytes, { ...kept, ...options })] };
      const items = ids.map((id) => ({ ...kept, id, bytes }));
      return { kind: "done", locations: await store.appendMany(inGroup, items, options) };
    }
    case "create":
      try {
        return { kind: "done", locations: [await store.append(one, bytes, { ...kept, ...options, ifAbsent: true })] };
      } catch (error) {
        if (isPayloadStoreError(error, "EXISTS")) return { kind: "refused" };
        throw error;
      }
    case "delete":
      return { kind: (await store.delete(one, options)) ? "done" : "refused" };
    case "delete the group":
      return { kind: "cleared", payloads: await store.deleteGroup(inGroup) };
    case "erase":
      await store.erase({ ...inGroup, ids });
      return { kind: "erased" };
    case "erase the group":
      await store.erase(inGroup);
      return { kind: "erased" };
    case "erase what is meant":
      await store.erase({ tenant, ...call.selector });
      return { kind: "erased" };
    case "find":
      return { kind: "found", found: await findAll(store, call.subject!) };
    case "get":
      return seen([[one.id, await store.get(one)]]);
    case "has":
      return { kind: "has", has: await store.has(one) };
    case "get many": {
      const found = await store.getMany(inGroup, ids);
      return seen(ids.map((id, i) => [id, found[i]]));
    }
    case "list": {
      const listed = await collect(store.list(inGroup));
      const there = new Map(listed.map(({ id, location }) => [id, location]));
      const found: [string, Uint8Array | undefined][] = [];
      for (const id of ids) {
        const location = there.get(id);
        try {
          found.push([id, location && (await store.getAt({ tenant }, location))]);
        } catch (error) {
          // It was compacted since.
          if (!isPayloadStoreError(error, "GONE")) throw error;
        }
      }
      return seen(found);
    }
    case "contents": {
      const contents = await collect(store.contents(inGroup));
      const bodies = new Map(contents.map(({ id, body }) => [id, body]));
      return seen(
        ids.map((id) => [id, bodies.get(id)]),
        false,
      );
    }
  }
}

/** What is kept of what a call writes, beside its bytes. */
function keptAs({ subject, expires, value }: Call): Pick<PayloadInput, "attributes" | "expiresAt" | "retention"> {
  // What erasures leave no trace of is in attributes as well.
  const attributes = subject === undefined ? undefined : { [subjectName]: subject, body: `<${value}>` };
  return typeof expires === "string" ? { attributes, retention: expires } : { attributes, expiresAt: expires };
}

/** The attribute that payloads are found by. */
export const subjectName = "subject";

async function findAll(store: PayloadStore, subject: string): Promise<Found> {
  const found: Record<string, Record<string, string>> = {};
  for await (const { group, id, attributes } of store.find({ tenant, where: { [subjectName]: subject } })) {
    // Twice is as wrong as another value.
    const value = `${found[group]?.[id] ?? ""}${valueIn(attributes?.["body"] ?? "")}`;
    found[group] = { ...found[group], [id]: value };
  }
  return found;
}

/** The value that a text stands for, as {@link bodyOf} has it. */
export function valueIn(text: string): string {
  return text.slice(1, -1);
}

function seen(found: readonly (readonly [string, Uint8Array | undefined])[], together = true): Answer {
  return { kind: "seen", seen: Object.fromEntries(found.map(([id, bytes]) => [id, textOf(bytes)])), together };
}

/** What {@link bodyOf} made bytes of. */
export function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : valueIn(textDecoder.decode(bytes));
}
