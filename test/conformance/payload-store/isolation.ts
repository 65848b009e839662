import assert from "node:assert/strict";
import type { PayloadStore } from "../../../core/payload-store.ts";
import { collect, rejectsWith, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { Draws, prose, text } from "../sample-bytes.ts";

/** Tenants never see each other, and nobody sees anything without naming one. */
export function isolationCases({ describe, given, scaled, supports }: PayloadStoreCases): void {
  describe("a call without a tenant", () => {
    const nobodies = [undefined, null, "", "A", "a_b", "-a", "..", ".", "a/b", "a b", "é", "x".repeat(64), 5, {}];

    given("is refused with INVALID, whatever it asks", async ({ store }) => {
      await store.append({ tenant: "acme", group: "g", id: "a" }, text("x"));
      const location = (await store.head({ tenant: "acme", group: "g", id: "a" }))?.location ?? assert.fail();

      for (const tenant of nobodies as string[]) {
        for (const call of everyCall(store, tenant, location)) await rejectsWith("INVALID", call);
      }
      for (const call of [
        () => store.size(undefined as never),
        () => store.stats({} as never),
        () => store.get({ group: "g", id: "a" } as never),
        () => store.get(undefined as never),
        () => store.append(undefined as never, text("y")),
        () => collect(store.groups(undefined as never)),
      ]) {
        await rejectsWith("INVALID", call);
      }

      assert.equal(await store.size({ tenant: "acme" }), 1);
    });

    given("is told from one with a tenant by its name alone: 1–63 letters, digits and hyphens", async ({ store }) => {
      const tenants = ["a", "0", "a-b", "a--", "x".repeat(63)];

      for (const tenant of tenants) await store.append({ tenant, group: "g", id: "a" }, text(tenant));

      for (const tenant of tenants) sameBytes(await store.get({ tenant, group: "g", id: "a" }), text(tenant));
    });
  });

  describe("a tenant", () => {
    given("never observes another: every answer is as if it were alone", async ({ store }) => {
      // The other tenant does the same at the same names, so that anything shared would show.
      const ask = (tenant: string) => answers(store, tenant, supports.moves);
      const alone = await ask("alone");
      await Promise.all([ask("noisy"), ask("noisy-2")]);

      const beside = await Promise.all([ask("one"), ask("noisy"), ask("two")]);

      assert.deepEqual(beside[0], alone);
      assert.deepEqual(beside[2], alone);
      assert.equal(await store.size({ tenant: "nobody" }), 0);
    });

    given("finds nothing of another's to delete", async ({ store }) => {
      const key = { tenant: "acme", group: "g", id: "a" };
      await store.append(key, text("x"));

      assert.equal(await store.delete({ ...key, tenant: "other" }), false);
      assert.equal(await store.deleteGroup({ tenant: "other", group: "g" }), 0);

      sameBytes(await store.get(key), text("x"));
    });

    const calls = scaled(1000);
    given(`reads its own in ${calls} calls interleaved with another's`, async ({ store }) => {
      const tenants = ["acme", "other"] as const;
      const bytesOf = (tenant: string, id: number) => prose(200 + id, tenant === "acme" ? id : 10_000 + id);
      await Promise.all(
        tenants.flatMap((tenant) =>
          Array.from({ length: 50 }, (_, id) =>
            store.append({ tenant, group: `g${id % 5}`, id: `${id}` }, bytesOf(tenant, id)),
          ),
        ),
      );

      const draws = new Draws(5);
      await Promise.all(
        Array.from({ length: calls }, async () => {
          const tenant = draws.pick(tenants);
          const id = draws.below(50);
          const key = { tenant, group: `g${id % 5}`, id: `${id}` };
          if (draws.below(4) === 0) await store.append(key, bytesOf(tenant, id));
          else sameBytes(await store.get(key), bytesOf(tenant, id), `${tenant} ${id}`);
        }),
      );
    });
  });
}

function everyCall(store: PayloadStore, tenant: string, location: object): (() => unknown)[] {
  const key = { tenant, group: "g", id: "a" };
  return [
    () => store.append(key, text("y")),
    () => store.appendMany(key, [{ id: "a", bytes: text("y") }]),
    () => store.get(key),
    () => store.read(key),
    () => store.head(key),
    () => store.has(key),
    () => store.getAt(key, location as never),
    () => store.getMany(key, ["a"]),
    () => collect(store.list(key)),
    () => collect(store.contents(key)),
    () => collect(store.groups(key)),
    () => store.delete(key),
    () => store.deleteGroup(key),
    () => store.size(key),
    () => store.isEmpty(key),
    () => store.stats(key),
  ];
}

/** Everything a tenant can ask, after a little work of its own, without the places and times that are nobody's promise. */
async function answers(store: PayloadStore, tenant: string, moves = false): Promise<unknown> {
  const key = { tenant, group: "g", id: "a" };
  await store.append(key, prose(2000, 1), { contentType: "text/plain" });
  await store.appendMany(
    { tenant, group: "g" },
    ["b", "c", "d"].map((id) => ({ id, bytes: prose(500, 2) })),
  );
  await store.append({ tenant, id: "lone" }, prose(10, 3));
  const deletions = [await store.delete({ ...key, id: "b" }), await store.delete({ ...key, id: "none" })];
  const group = { tenant, group: "g" };
  return {
    deletions,
    got: await store.get(key),
    type: (await store.read(key))?.contentType,
    etag: (await store.head(key))?.etag,
    has: await store.has(key),
    many: await store.getMany(group, ["a", "b", "c"]),
    list: (await collect(store.list(group))).map(({ id, bytes, etag }) => [id, bytes, etag]),
    contents: (await collect(store.contents(group))).map(({ body }) => body),
    groups: (await collect(store.groups({ tenant }))).toSorted((a, b) => (a.group < b.group ? -1 : 1)),
    size: await store.size({ tenant }),
    // How well payloads are compressed depends on when they were moved.
    stats: moves ? (await store.stats({ tenant })).uncompressedBytes : await store.stats({ tenant }),
    created: await store.append({ ...key, id: "b" }, text("b"), { ifAbsent: true }).then(
      () => "created",
      () => "refused",
    ),
    deletedGroup: await store.deleteGroup(group),
    left: await store.size({ tenant }),
    deletedLone: await store.delete({ tenant, id: "lone" }),
    empty: await store.isEmpty({ tenant }),
  };
}
