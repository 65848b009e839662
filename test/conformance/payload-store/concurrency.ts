import assert from "node:assert/strict";
import { collect, sameBytes } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { Draws, noise, prose, text } from "../sample-bytes.ts";

const tenant = "acme";

/** Many callers at once. */
export function concurrencyCases({ describe, given, scaled, supports }: PayloadStoreCases): void {
  describe("many callers at once", () => {
    const each = scaled(250);
    given(`lose nothing and mix up nothing: 8 writers with ${each} payloads each`, async (opened) => {
      const bytesOf = (writer: number, i: number) => prose(1 + ((writer * 7919 + i * 131) % 3000), writer * 1000 + i);
      const groupOf = (writer: number, i: number) => (i % 2 === 0 ? "shared" : `writer ${writer}`);
      const writers = Array.from({ length: 8 }, (_, writer) => writer);

      await Promise.all(
        writers.map(async (writer) => {
          for (let i = 0; i < each; i++) {
            const key = { tenant, group: groupOf(writer, i), id: `${writer}-${i}` };
            await opened.store.append(key, bytesOf(writer, i));
            sameBytes(await opened.store.get(key), bytesOf(writer, i), key.id);
          }
        }),
      );

      const stores = [opened.store];
      if (supports.reopen && opened.reopen) stores.push(await opened.reopen());
      const last = stores.at(-1) ?? assert.fail();
      assert.equal(await last.size({ tenant }), 8 * each);
      for (const writer of writers) {
        for (let i = 0; i < each; i++) {
          const key = { tenant, group: groupOf(writer, i), id: `${writer}-${i}` };
          sameBytes(await last.get(key), bytesOf(writer, i), key.id);
        }
      }
    });

    given("are listed in the order of their calls where they write to one group", async ({ store }) => {
      const ids = Array.from({ length: 200 }, (_, i) => `${i}`);

      await Promise.all(ids.map((id) => store.append({ tenant, group: "g", id }, text(id))));

      const listed = await collect(store.list({ tenant, group: "g" }));
      assert.deepEqual(
        listed.map(({ id }) => id),
        ids,
      );
    });

    given("read whole payloads, old or new, while they are overwritten", async ({ store }) => {
      const ids = Array.from({ length: 10 }, (_, i) => `${i}`);
      const version = (id: string, n: number) => noise(2000 + n, Number(id) * 100 + n);
      for (const id of ids) await store.append({ tenant, group: "g", id }, version(id, 0));

      const newest = new Map(ids.map((id) => [id, 0]));
      const write = async () => {
        for (let n = 1; n <= scaled(20); n++) {
          for (const id of ids) {
            await store.append({ tenant, group: "g", id }, version(id, n));
            newest.set(id, n);
          }
        }
      };
      const draws = new Draws(9);
      const read = async () => {
        for (let i = 0; i < scaled(200); i++) {
          const id = draws.pick(ids);
          const least = newest.get(id) ?? 0;
          const found = (await store.get({ tenant, group: "g", id })) ?? assert.fail("a payload was missing");
          const n = found.length - 2000;
          assert.ok(n >= least, `version ${n} after ${least} was acknowledged`);
          sameBytes(found, version(id, n));
        }
      };
      await Promise.all([write(), read(), read(), read()]);
    });

    given("append, delete and list without disturbing each other", async ({ store }) => {
      const groups = ["a", "b", "c"];
      const count = 12 * Math.ceil(scaled(300) / 12);
      await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const group = groups[i % 3] ?? "a";
          const key = { tenant, group, id: `${i}` };
          await store.append(key, prose(i, i));
          if (i % 4 === 0) assert.equal(await store.delete(key), true);
          if (i % 10 === 0)
            for await (const { id, body } of store.contents({ tenant, group }))
              sameBytes(body, prose(Number(id), Number(id)));
        }),
      );

      assert.equal(await store.size({ tenant }), (count * 3) / 4);
      for (let i = 0; i < count; i++) {
        assert.equal(await store.has({ tenant, group: groups[i % 3] ?? "a", id: `${i}` }), i % 4 !== 0);
      }
    });

    if (supports.syncs) {
      given("share syncs: 100 appends take at most 10", async ({ store, syncs = () => assert.fail() }) => {
        const before = syncs();

        await Promise.all(
          Array.from({ length: 100 }, (_, i) =>
            store.append({ tenant, group: `g${i % 20}`, id: `${i}` }, prose(500, i)),
          ),
        );

        assert.ok(syncs() - before <= 10, `${syncs() - before} syncs`);
        assert.equal(await store.size({ tenant }), 100);
      });
    }
  });
}
