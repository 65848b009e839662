import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, describe, expect, test } from "vitest";
import type { AwsStore } from "../../core/entries/aws.ts";
import type { Attributes } from "../../core/payload.ts";
import { collect } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, openHandler } from "../support/aws/handlers.ts";
import { hour, minute, startWithMovedClock } from "../support/aws/moved-clock.ts";

const { servers, pass, close } = await startWithMovedClock();
afterAll(close);
const dynamo = servers.dynamo.client();

const tenant = "acme";
const user = (value: string): { readonly attributes: Attributes } => ({ attributes: { user: value } });

async function opened() {
  const place = await freshPlaceOf(servers);
  const { store } = await openHandler(servers, place, { indexedAttributes: ["user", "model"] });
  const findRows = async () => {
    const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: place.table }));
    return Items.filter(({ pk }) => pk?.S?.startsWith("~find/"));
  };
  const puts = () => servers.dynamo.log.count({ operation: "PutItem", resource: place.table, key: /^~find\// });
  return { place, store, findRows, puts, another: async () => (await openHandler(servers, place)).store };
}

async function found(store: AwsStore, where: Attributes): Promise<string[]> {
  return (await collect(store.find({ tenant, where }))).map(({ group, id }) => `${group}/${id}`).toSorted();
}

async function compactFor(store: AwsStore, days: number): Promise<void> {
  for (let i = 0; i < 6 * days; i++) {
    pass(4 * hour);
    await store.compact();
  }
}

describe("rows that payloads are found by", () => {
  /** Small groups whose rows keep them, long ones in segments, and one value in all of them. */
  async function filled() {
    const of = await opened();
    const { store } = of;
    for (let g = 0; g < 6; g++) {
      const bytes = (i: number) => (g % 2 === 0 ? prose(300, 10 * g + i) : noise(9000, 10 * g + i));
      await store.append({ tenant, group: `g${g}`, id: "a" }, bytes(0), user("u1"));
      await store.append({ tenant, group: `g${g}`, id: "b" }, bytes(1), {
        attributes: { user: `own-${g}`, model: "m" },
      });
    }
    expect(await of.findRows()).toHaveLength(18);
    return of;
  }

  const ways: readonly (readonly [string, (store: AwsStore) => Promise<unknown>])[] = [
    [
      "deleted, payload by payload",
      async (store) => {
        for (let g = 0; g < 6; g++) for (const id of ["a", "b"]) await store.delete({ tenant, group: `g${g}`, id });
      },
    ],
    [
      "deleted with its group",
      async (store) => {
        for (let g = 0; g < 6; g++) await store.deleteGroup({ tenant, group: `g${g}` });
      },
    ],
    ["erased, all of it", (store) => store.erase({ tenant, everything: true })],
    [
      "erased by attributes",
      async (store) => {
        await store.erase({ tenant, where: { user: "u1" } });
        await store.erase({ tenant, where: { model: "m" } });
      },
    ],
    [
      "overwritten by what expires",
      async (store) => {
        const expiresAt = new Date(Date.now() + hour);
        for (let g = 0; g < 6; g++)
          for (const id of ["a", "b"])
            await store.append({ tenant, group: `g${g}`, id }, prose(300, g), { ...user("u3"), expiresAt });
      },
    ],
  ];

  test.each(ways)("are all gone a while after everything was %s", async (_how, empty) => {
    const { store, findRows, another } = await filled();
    pass(hour);
    await empty(store);
    await compactFor(store, 2);

    expect(await findRows()).toEqual([]);
    for (const { state } of await store.erasures({ tenant })) expect(state).toBe("gone");
    // Who has not put them for a while puts them again.
    await store.append({ tenant, group: "g0", id: "a" }, prose(300, 1), user("u1"));
    expect(await found(await another(), { user: "u1" })).toEqual(["g0/a"]);
  });

  test("of a group that stays are gone where none of its payloads needs them, and stay where one does", async () => {
    const { store, findRows, another } = await filled();
    await store.append({ tenant, group: "g1", id: "c" }, noise(9000, 77), user("u1"));
    pass(hour);
    const { id } = await store.erase({ tenant, where: { user: "own-0" } });
    await store.erase({ tenant, where: { user: "own-1" } });
    await store.delete({ tenant, group: "g1", id: "a" });
    await store.append({ tenant, group: "g2", id: "b" }, prose(300, 78), user("own-2"));
    await compactFor(store, 2);

    expect((await store.erasure({ tenant, erasure: id }))!.state).toBe("gone");
    // Of 18: the users and models of g0 and g1, and the model of g2.
    expect(await findRows()).toHaveLength(13);
    const other = await another();
    expect(await found(other, { user: "u1" })).toEqual(["g0/a", "g1/c", "g2/a", "g3/a", "g4/a", "g5/a"]);
    expect(await found(other, { user: "own-2" })).toEqual(["g2/b"]);
    expect(await found(other, { model: "m" })).toEqual(["g3/b", "g4/b", "g5/b"]);
    expect(await found(other, { user: "own-0" })).toEqual([]);
  });

  test("stay where a payload of the group needs them that lies in another row than what went", async () => {
    const { store, findRows, another } = await opened();
    await store.append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"));
    await store.delete({ tenant, group: "g", id: "a" });
    // So long that it is not joined with others for their number.
    await store.append({ tenant, group: "g", id: "b" }, noise(4_500_000, 2), user("u1"));
    await compactFor(store, 1);
    expect(await findRows()).toHaveLength(1);
    expect(await found(await another(), { user: "u1" })).toEqual(["g/b"]);

    await store.delete({ tenant, group: "g", id: "b" });
    await compactFor(store, 2);
    expect(await findRows()).toEqual([]);
  });

  test("go with the payload also where that is compacted as soon as it may be", async () => {
    const { store, findRows } = await opened();
    await store.append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"));
    await store.deleteGroup({ tenant, group: "g" });
    for (let runs = 0; runs < 12; runs++) {
      pass(6 * minute);
      await store.compact();
    }
    expect(await findRows()).toEqual([]);
  });

  test("are put again by who has not put them for ten minutes, and stay while a commit may need them", async () => {
    const { store, place, findRows, puts, another } = await opened();
    const append = (to: AwsStore, id: string) => to.append({ tenant, group: "g", id }, prose(300, 1), user("u1"));
    await append(store, "a");
    pass(9 * minute);
    await append(store, "b");
    expect(puts()).toBe(1);
    pass(2 * minute);
    await append(store, "c");
    expect(puts()).toBe(2);

    await store.deleteGroup({ tenant, group: "g" });
    pass(40 * minute);
    // One that puts the row, and whose page does not come: nothing that is there needs the row, and what is on its way may.
    const page = servers.dynamo.fault({ kind: "reset", operation: "PutItem", key: /^acme\/g#/, times: Infinity });
    const late = await openHandler(servers, place, { dynamoConfig: { maxAttempts: 1 } });
    await expect(append(late.store, "d")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    page.remove();
    expect(puts()).toBe(3);
    pass(14 * minute);
    expect((await store.compact()).rows).toMatchObject({ rowsWritten: 1 });
    expect(await findRows()).toHaveLength(1);
    await append(await another(), "d");
    await compactFor(store, 1);
    expect(await found(await another(), { user: "u1" })).toEqual(["g/d"]);
  });
});
