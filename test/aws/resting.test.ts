import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { recorded } from "../../bench/recorded.ts";
import { collect, sameBytes } from "../conformance/expectations.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { traces, withSecret } from "../support/aws/erased-store.ts";
import { freshPlaceOf, type Handler, openHandler } from "../support/aws/handlers.ts";
import { hour, startWithMovedClock } from "../support/aws/moved-clock.ts";
import { alike, blocksIn, type FoundFrame, framesIn, smallBases } from "../support/resting-blocks.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";

const { servers, pass, close } = await startWithMovedClock();
afterAll(close);

const tenant = "acme";
/** Segments of which anything is dead are emptied, whatever else is in them. */
const options = { rules: smallBases, mustGo: () => true } as const;

/** A base has several frames. */
const longBases = { baseBytes: 9000, baseEveryBytes: 12_000 } as const;

interface Filled {
  readonly handler: Handler;
  readonly place: AwsPlace;
  readonly kept: Map<string, Uint8Array>;
}

/** Groups of some payloads that are alike, and some of bytes by chance between them; compacted, so that most rest on a few. */
async function filled(groups = 24, rules: typeof options.rules | typeof longBases = smallBases): Promise<Filled> {
  const place = await freshPlaceOf(servers);
  const handler = await openHandler(servers, place);
  const kept = new Map<string, Uint8Array>();
  for (let i = 0; i < groups; i++) {
    const bytesOfOne = (j: number) => (i % 11 === 5 ? noise(3000, 10 * i + j) : alike(10 * i + j));
    // Long enough to pay for their segment.
    const items = Array.from({ length: 2 + (i % 5) }, (_, j) => ({ id: `${j}`, bytes: bytesOfOne(j) }));
    await handler.store.appendMany({ tenant, group: `g${i}` }, items.slice(0, 1));
    await handler.store.appendMany({ tenant, group: `g${i}` }, items.slice(1));
    for (const { id, bytes } of items) kept.set(`g${i} ${id}`, bytes);
  }
  pass(hour);
  await handler.store.compact({ ...options, rules });
  return { handler, place, kept };
}

async function framesAt({ clients: { s3 } }: Handler, { bucket }: AwsPlace): Promise<FoundFrame[]> {
  const found: FoundFrame[] = [];
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  for (const { Key = "" } of Contents) {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
    const [, owner = "", segment = ""] = /segments\/([^/]+)\/([^/]+)\.seg$/.exec(Key) ?? [];
    found.push(...(await framesIn(Key, owner, segment, (await Body?.transformToByteArray()) ?? new Uint8Array(0))));
  }
  return found;
}

const blocksAt = async (handler: Handler, place: AwsPlace) => blocksIn(await framesAt(handler, place));

async function expectKept({ place, kept }: Filled): Promise<void> {
  const { store } = await openHandler(servers, place);
  for (const [name, bytes] of kept) {
    const [group = "", id = ""] = name.split(" ");
    sameBytes(await store.get({ tenant, group, id }), bytes);
  }
  expect((await store.verify()).faults.filter(({ kind }) => kind !== "orphan")).toEqual([]);
}

describe("what compaction puts on S3", () => {
  test("rests on what lies before it in its segment, on more bases than one, and is read in every way", async () => {
    const of = await filled();
    const blocks = await blocksAt(of.handler, of.place);
    const resting = blocks.filter(({ block }) => block.resting);

    expect(resting.length).toBeGreaterThan(blocks.length / 2);
    expect(new Set(resting.map(({ block }) => block.resting!.base.start)).size).toBeGreaterThan(1);
    await expectKept(of);
    const { store } = await openHandler(servers, of.place);
    for (let i = 0; i < 24; i++) {
      const group = `g${i}`;
      for (const { id, body } of await collect(store.contents({ tenant, group }))) {
        sameBytes(body, of.kept.get(`${group} ${id}`)!);
      }
      for (const { id, location } of await collect(store.list({ tenant, group }))) {
        sameBytes(await store.getAt({ tenant }, location), of.kept.get(`${group} ${id}`)!);
      }
    }
  });

  test("rests on several frames as its readers take them, with blocks between them that rest on others", async () => {
    const of = await filled(24, longBases);
    const bases = (await blocksAt(of.handler, of.place)).flatMap(({ block }) => block.resting?.base ?? []);
    const inBase = (await framesAt(of.handler, of.place)).filter(
      ({ offset }) => offset >= bases[0]!.start && offset < bases[0]!.end,
    );
    expect(inBase.length).toBeGreaterThan(1);
    await expectKept(of);
    for (const groups of [1, 2, 7]) await expectKept(await filled(groups, longBases));
  });

  test("is written again and again without what was deleted, also where others rest on that", async () => {
    const of = await filled();
    const { store } = of.handler;
    const bases = (await blocksAt(of.handler, of.place)).flatMap(({ block }) => block.resting?.base.start ?? []);
    const based = (await framesAt(of.handler, of.place)).filter(({ offset }) => bases.includes(offset));
    expect(based.length).toBeGreaterThan(1);
    for (const { group } of based) {
      await store.deleteGroup({ tenant, group });
      for (const name of of.kept.keys()) if (name.startsWith(`${group} `)) of.kept.delete(name);
    }
    for (let runs = 0; runs < 3; runs++) {
      pass(26 * hour);
      await store.compact(options);
      await expectKept(of);
    }
    const groups = new Set((await framesAt(of.handler, of.place)).map(({ group }) => group));
    for (const { group } of based) expect(groups.has(group)).toBe(false);
  });

  test("leaves no trace of what was erased that others rested on", async () => {
    const place = await freshPlaceOf(servers);
    const handler = await openHandler(servers, place);
    const { store } = handler;
    const kept = new Map<string, Uint8Array>();
    for (let i = 0; i < 20; i++) {
      // The first groups, which become the base, have the secret, and others repeat what is beside it.
      const isSecret = i < 6 || i % 7 === 0;
      const attributes = { subject: isSecret ? "u-1" : "u-2" };
      const bytes = Buffer.concat([isSecret ? withSecret(i) : new Uint8Array(0), alike(i)]);
      for (const ids of [["a"], ["b", "c", "d"]]) {
        await store.appendMany(
          { tenant, group: `g${i}` },
          ids.map((id) => ({ id, bytes, attributes })),
        );
        if (!isSecret) for (const id of ids) kept.set(`g${i} ${id}`, bytes);
      }
    }
    pass(hour);
    await store.compact(options);
    expect((await blocksAt(handler, place)).filter(({ block }) => block.resting).length).toBeGreaterThan(10);
    const { id } = await store.erase({ tenant, where: { subject: "u-1" } });
    for (let hours = 0; (await store.erasure({ tenant, erasure: id }))!.state !== "gone"; hours++) {
      expect(hours).toBeLessThan(40);
      pass(hour);
      await store.compact({ rules: smallBases });
    }

    expect(await traces(handler, place)).toEqual([]);
    expect((await blocksAt(handler, place)).filter(({ block }) => block.resting).length).toBeGreaterThan(5);
    await expectKept({ handler, place, kept });
  });

  test("is damaged where its base is, says so, and takes no more than the base's stretch along", async () => {
    const of = await filled();
    const [base] = (await blocksAt(of.handler, of.place))
      .filter(({ block }) => block.resting)
      .map(({ block, path }) => ({ ...block.resting!.base, path }));
    const { s3 } = of.handler.clients;
    const at = { Bucket: of.place.bucket, Key: base!.path };
    const bytes = (await (await s3.send(new GetObjectCommand(at))).Body!.transformToByteArray()).slice();
    bytes[base!.end - 1]! ^= 1;
    await s3.send(new PutObjectCommand({ ...at, Body: bytes }));

    const { store } = await openHandler(servers, of.place);
    let corrupt = 0;
    for (const [name, expected] of of.kept) {
      const [group = "", id = ""] = name.split(" ");
      const found = await store.get({ tenant, group, id }).catch((error: unknown) => error);
      if (found instanceof Uint8Array) sameBytes(found, expected);
      else {
        expect(found).toMatchObject({ code: "CORRUPT" });
        corrupt += 1;
      }
    }
    expect(corrupt).toBeGreaterThan(1);
    expect(corrupt).toBeLessThan(of.kept.size / 2);
    expect((await store.verify()).faults.length).toBeGreaterThan(1);
  });

  test("is seven times smaller than messages of agents, and much smaller than without bases", async () => {
    const measured: number[] = [];
    const groups = Map.groupBy(recorded("airline-messages").items, ({ group }) => group);
    for (const rules of [{}, { baseBytes: 0 }]) {
      const { store } = await openHandler(servers, await freshPlaceOf(servers));
      for (const [group, items] of [...groups].slice(0, 100)) {
        const half = Math.ceil(items.length / 2);
        for (const some of [items.slice(0, half), items.slice(half)]) {
          if (some.length > 0) await store.appendMany({ tenant, group }, some);
        }
      }
      pass(hour);
      await store.compact({ rules });
      measured.push((await store.stats({ tenant })).ratio);
      await store.close();
    }
    const [resting = 0, alone = 0] = measured;
    expect(resting).toBeGreaterThan(7);
    expect(resting).toBeGreaterThan(1.3 * alone);
  });
});
