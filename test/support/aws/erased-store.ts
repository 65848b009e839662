import { basename } from "node:path";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { paginateScan } from "@aws-sdk/client-dynamodb";
import { expect } from "vitest";
import type { AwsStore } from "../../../core/entries/aws.ts";
import { noise, prose, text } from "../../conformance/sample-bytes.ts";
import { hasTrace } from "../traces.ts";
import type { AwsPlace } from "./aws-under-test.ts";
import { freshPlaceOf, type Handler, type HandlerOptions, openHandler } from "./handlers.ts";
import { hour, minute, type MovedClock } from "./moved-clock.ts";

export const tenant = "acme";
export const secret = "4111-SECRET-1111";

export const withSecret = (i: number) => text(`${i} ${secret} ${new TextDecoder().decode(prose(400, i))}`);

/** Objects and rows with a trace of the secret, all but the receipts, which name what was asked for. */
export async function traces(
  { clients: { s3, dynamo } }: Pick<Handler, "clients">,
  place: AwsPlace,
): Promise<string[]> {
  const found: string[] = [];
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: place.bucket }));
  for (const { Key = "" } of Contents) {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: place.bucket, Key }));
    if (await hasTrace((await Body?.transformToByteArray()) ?? new Uint8Array(0), secret, basename(Key, ".seg")))
      found.push(Key);
  }
  for await (const { Items = [] } of paginateScan({ client: dynamo }, { TableName: place.table })) {
    for (const { pk, sk, r } of Items) {
      if (await hasTrace(r?.B ?? new Uint8Array(0), secret)) found.push(`${pk?.S}#${sk?.N}`);
    }
  }
  return found;
}

export interface Filled {
  readonly place: AwsPlace;
  readonly handler: Handler;
  /** What is not to be erased. */
  readonly kept: ReadonlyMap<string, Uint8Array>;
  readonly fromMs: number;
  readonly toMs: number;
}

export const victims = [
  { id: "a", attributes: { subject: "u-1" }, codec: "zstd" as const },
  { id: "b", attributes: { subject: "u-1" }, codec: "none" as const },
  { id: "c", attributes: { subject: "u-1" }, codec: "lz4" as const },
];

/**
 * Groups that share segments, one with payloads that have a secret: overwritten versions of them that were merged, and swept, and
 * lie in segments that others need; versions in rows alone; and what was stored between two hours of the day.
 */
export async function filled({ servers, pass }: MovedClock, options: HandlerOptions = {}): Promise<Filled> {
  const place = await freshPlaceOf(servers);
  const handler = await openHandler(servers, place, options);
  const { store } = handler;
  const kept = new Map<string, Uint8Array>();
  const put = async (group: string, items: readonly { readonly id: string; readonly bytes: Uint8Array }[]) => {
    await store.appendMany({ tenant, group }, items);
    for (const { id, bytes } of items) kept.set(`${group} ${id}`, bytes);
  };
  const others = (round: number) =>
    ["g0", "g1", "g2"].map((group, g) =>
      put(group, [
        { id: `${round}-0`, bytes: noise(3000, round * 10 + g) },
        { id: `${round}-1`, bytes: prose(900, round * 10 + g) },
      ]),
    );
  // In one segment with others.
  const batch = (round: number) =>
    store.appendMany(
      { tenant, group: "victim" },
      victims.map((victim, i) => ({ ...victim, bytes: withSecret(10 * round + i) })),
    );
  await Promise.all([...others(1), batch(1), put("victim", [{ id: "stays", bytes: noise(2500, 99) }])]);
  pass(hour);
  await Promise.all([...others(2), batch(2)]);
  for (let i = 0; i < 3; i++) {
    pass(2 * hour);
    await store.compact();
  }
  const fromMs = Date.now();
  await store.append({ tenant, group: "victim", id: "a" }, withSecret(30), { attributes: { subject: "u-1" } });
  await store.append({ tenant, group: "victim", id: "b" }, withSecret(31), { attributes: { subject: "u-1" } });
  pass(minute);
  return { place, handler, kept, fromMs, toMs: Date.now() };
}

export async function expectKept(store: AwsStore, kept: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const found = new Map<string, Uint8Array>();
  for await (const { group } of store.groups({ tenant })) {
    for await (const { id, body } of store.contents({ tenant, group })) found.set(`${group} ${id}`, body);
  }
  expect([...found.keys()].toSorted()).toEqual([...kept.keys()].toSorted());
  for (const [name, bytes] of kept) expect(Buffer.from(found.get(name)!).equals(Buffer.from(bytes)), name).toBe(true);
}

/** Compacts, with pauses, until nothing is open. @returns how many hours that took */
export async function untilGone(
  { pass }: MovedClock,
  store: AwsStore,
  look: () => Promise<void> = async () => {},
  pauseHours = 3,
): Promise<number> {
  for (let hours = pauseHours; hours < 100; hours += pauseHours) {
    pass(pauseHours * hour);
    await store.compact();
    await look();
    if ((await store.erasures({ tenant })).every(({ state }) => state === "gone")) return hours;
  }
  throw new Error(`an erasure is never gone: ${JSON.stringify(await store.erasures({ tenant }))}`);
}
