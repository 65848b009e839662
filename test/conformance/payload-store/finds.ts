import assert from "node:assert/strict";
import { isPayloadStoreError } from "../../../core/errors.ts";
import type { PayloadStore } from "../../../core/payload-store.ts";
import type { Attributes, PayloadHead } from "../../../core/payload.ts";
import { collect, rejectsWith } from "../expectations.ts";
import type { PayloadStoreCases } from "../payload-store.suite.ts";
import { Draws, prose, text } from "../sample-bytes.ts";

const tenant = "acme";

/** Payloads by their attributes: the one that is alive, in whatever group, and none that was replaced, hidden or is another's. */
export function findCases({ describe, given, scaled, supports, finds }: PayloadStoreCases): void {
  describe("find", () => {
    if (!finds) {
      given("says that it is not supported", async ({ store }) => {
        await rejectsWith("UNSUPPORTED", () => names(store, { user: "u1" }));
      });
      return;
    }

    given("answers the payloads of all groups that have an attribute, as head does", async ({ store }) => {
      await store.append({ tenant, group: "g", id: "a" }, prose(2000, 1), { attributes: { user: "u1", step: "1" } });
      await store.append({ tenant, group: "g", id: "none" }, text("none"));
      await store.append({ tenant, group: "h", id: "a" }, prose(9, 2), {
        contentType: "text/a",
        attributes: user("u1"),
      });
      await store.append({ tenant, group: "h", id: "b" }, prose(9, 3), { attributes: user("u2") });
      await store.appendMany({ tenant, group: "i" }, [
        { id: "a", bytes: text("a"), attributes: user("u2") },
        { id: "b", bytes: text("b"), attributes: user("u1") },
        { id: "c", bytes: text("c") },
      ]);

      const found = await collect(store.find({ tenant, where: user("u1") }));

      assert.deepEqual(namesOf(found), ["g/a", "h/a", "i/b"]);
      for (const { cursor, ...head } of found) {
        assert.equal(typeof cursor, "string");
        const { location, ...known } = (await store.head({ tenant, group: head.group, id: head.id })) ?? assert.fail();
        assert.deepEqual(supports.moves ? { ...head, location } : head, { ...known, location });
      }
      assert.deepEqual(await names(store, { user: "u3" }), []);
      assert.deepEqual(await names(store, { user: "u" }), []);
      assert.deepEqual(await names(store, { user: "u1", step: "1" }), ["g/a"]);
    });

    given("asks for all terms at once, also those that no index helps with", async ({ store }) => {
      const put = (id: string, attributes: Attributes) =>
        store.append({ tenant, group: `g${id}`, id }, text(id), { attributes });
      await put("0", { user: "u1", model: "m1", kind: "a" });
      await put("1", { user: "u1", model: "m2", kind: "a" });
      await put("2", { user: "u2", model: "m1", kind: "a" });
      await put("3", { user: "u1", model: "m1", kind: "b" });
      await put("4", { user: "u1", model: "m1" });

      assert.deepEqual(await names(store, { user: "u1", model: "m1" }), ["g0/0", "g3/3", "g4/4"]);
      assert.deepEqual(await names(store, { model: "m1", user: "u1", kind: "a" }), ["g0/0"]);
      assert.deepEqual(await names(store, { kind: "a", model: "m2" }), ["g1/1"]);
      assert.deepEqual(await names(store, { user: "u2", model: "m2" }), []);
      assert.deepEqual(await names(store, { user: "u9", model: "m1" }), []);
    });

    given("tells attributes apart whatever they hold, and takes none from what objects inherit", async ({ store }) => {
      const values = ["", "a", "é", "e\u0301", "🛫", "a b&c=d:%20", "m\0model", "x".repeat(3000), "1", "toString"];
      for (const [i, value] of values.entries()) {
        await store.append({ tenant, group: "g", id: `${i}` }, text("x"), { attributes: { user: value } });
        await store.append({ tenant, group: "g", id: `m${i}` }, text("x"), { attributes: { model: value } });
      }

      for (const [i, value] of values.entries()) {
        assert.deepEqual(await names(store, { user: value }), [`g/${i}`], JSON.stringify(value));
        assert.deepEqual(await names(store, { model: value }), [`g/m${i}`], JSON.stringify(value));
      }
      assert.deepEqual(await names(store, { user: "a", constructor: "x" }), []);
      assert.deepEqual(await names(store, { user: "a", ...JSON.parse('{"__proto__":"x"}') }), []);
    });

    given("forgets what is replaced, deleted or cleared, and finds what is stored again", async ({ store }) => {
      const key = { tenant, group: "g", id: "a" };
      const other = { tenant, group: "g", id: "b" };
      const put = (at: typeof key, value?: string) =>
        store.append(at, text("x"), value === undefined ? {} : { attributes: user(value) });
      const expect = async (u1: readonly string[], u2: readonly string[]) => {
        assert.deepEqual([await names(store, user("u1")), await names(store, user("u2"))], [u1, u2]);
      };

      await put(key, "u1");
      await put(other, "u1");
      await expect(["g/a", "g/b"], []);
      await put(key, "u2");
      await expect(["g/b"], ["g/a"]);
      await put(other);
      await expect([], ["g/a"]);
      await put(key, "u1");
      await expect(["g/a"], []);
      await put(key, "u1");
      await expect(["g/a"], []);
      await store.delete(key);
      await expect([], []);
      await put(key, "u2");
      await put(other, "u2");
      await expect([], ["g/a", "g/b"]);
      await store.deleteGroup({ tenant, group: "g" });
      await expect([], []);
      await put(other, "u1");
      await expect(["g/b"], []);
    });

    given("never answers another tenant's", async ({ store }) => {
      for (const owner of ["a", "a-b", "b"]) {
        await store.append({ tenant: owner, group: "g", id: owner }, text(owner), { attributes: user("u1") });
      }

      for (const owner of ["a", "a-b", "b"]) assert.deepEqual(await names(store, user("u1"), owner), [`g/${owner}`]);
      assert.deepEqual(await names(store, user("u1"), "c"), []);
    });

    given("finds in every group of many, and only what is meant in a long batch", async ({ store }) => {
      const groups = Math.max(20, scaled(120));
      await Promise.all(
        Array.from({ length: groups }, (_, i) =>
          store.append({ tenant, group: `g${i}`, id: "a" }, text("x"), { attributes: user(`u${i % 3}`) }),
        ),
      );
      const items = Array.from({ length: 300 }, (_, i) => ({
        id: `${i}`,
        bytes: text("x"),
        attributes: { user: i % 100 === 7 ? "rare" : "other", model: `m${i % 5}` },
      }));
      await store.appendMany({ tenant, group: "batch" }, items);

      assert.equal((await names(store, user("u0"))).length, Math.ceil(groups / 3));
      assert.deepEqual(await names(store, user("rare")), ["batch/107", "batch/207", "batch/7"]);
      assert.deepEqual(await names(store, { user: "rare", model: "m2" }), ["batch/107", "batch/207", "batch/7"]);
      assert.deepEqual(await names(store, { user: "rare", model: "m3" }), []);
    });

    given("goes on behind every cursor, in pieces of any length", async ({ store }) => {
      for (let i = 0; i < 8; i++) {
        const items = Array.from({ length: 1 + (i % 3) }, (_, n) => ({
          id: `${n}`,
          bytes: text("x"),
          attributes: user(n === 1 ? "other" : "u1"),
        }));
        await store.appendMany({ tenant, group: `g${i}` }, items);
        await store.append({ tenant, group: `g${i % 4}`, id: `late ${i}` }, text("x"), { attributes: user("u1") });
      }
      const question = { tenant, where: user("u1") };
      const whole = await collect(store.find(question));
      assert.equal(namesOf(whole).length, 18);

      for (const limit of [1, 4, 18, 100]) {
        const found = [];
        for (let after: string | undefined; ;) {
          const piece = await collect(store.find(question, { after, limit }));
          assert.ok(piece.length <= limit);
          if (piece.length === 0) break;
          found.push(...piece);
          after = piece.at(-1)?.cursor;
        }
        assert.deepEqual(namesOf(found), namesOf(whole), `pieces of ${limit}`);
        if (!supports.moves) assert.deepEqual(found, whole, `pieces of ${limit}`);
      }
      for (const [i, { cursor }] of whole.entries()) {
        const behind = await collect(store.find(question, { after: cursor }));
        if (!supports.moves) assert.deepEqual(behind, whole.slice(i + 1));
      }
      assert.deepEqual(await collect(store.find(question, { limit: 0 })), []);
    });

    given(
      "goes on behind a cursor whose payload was overwritten, deleted, or is another's meanwhile",
      async (opened) => {
        const { store } = opened;
        for (let i = 0; i < 9; i++) {
          await store.append({ tenant, group: `g${i}`, id: "a" }, text("x"), { attributes: user("u1") });
        }
        const whole = await collect(store.find({ tenant, where: user("u1") }));
        const fourth = whole[3] ?? assert.fail();
        const rest = whole.slice(4).map(nameOf);
        const behind = async () => {
          const found = await collect(store.find({ tenant, where: user("u1") }, { after: fourth.cursor }));
          const there = supports.moves ? namesOf(found) : found.map(nameOf);
          // What was moved behind the cursor comes again.
          return supports.moves ? rest.filter((name) => there.includes(name)) : there;
        };

        assert.deepEqual(await behind(), rest);
        await store.append({ tenant, group: fourth.group, id: "a" }, text("y"), { attributes: user("u2") });
        assert.deepEqual(await behind(), rest);
        await store.deleteGroup({ tenant, group: fourth.group });
        assert.deepEqual(await behind(), rest);
        await store.delete({ tenant, group: whole[5]?.group ?? "", id: "a" });
        assert.deepEqual(await behind(), [...rest.slice(0, 1), ...rest.slice(2)]);
      },
    );

    given("misses nothing that was there all the time, whatever is written meanwhile", async ({ store }) => {
      for (let i = 0; i < 12; i++) {
        await store.append({ tenant, group: `g${i % 6}`, id: `${i}` }, text("x"), { attributes: user("u1") });
      }

      const seen = new Set<string>();
      let turn = 0;
      // An index that is made anew while it is walked says so, and is asked again.
      const found = async function* () {
        try {
          yield* store.find({ tenant, where: user("u1") });
        } catch (error) {
          if (!isPayloadStoreError(error, "UNAVAILABLE")) throw error;
          yield* store.find({ tenant, where: user("u1") });
        }
      };
      for await (const head of found()) {
        seen.add(nameOf(head));
        if (turn < 12) {
          // What comes last, and may not have been reached, moves to a newer page.
          const i = 11 - turn;
          await store.append({ tenant, group: `g${i % 6}`, id: `${i}` }, text("y"), { attributes: user("u1") });
          await store.append({ tenant, group: `new ${turn}`, id: "a" }, text("y"), { attributes: user("u2") });
        }
        turn += 1;
      }

      for (let i = 0; i < 12; i++) assert.ok(seen.has(`g${i % 6}/${i}`), `${i}`);
    });

    given("refuses questions, limits and cursors that are none", async ({ store }) => {
      await store.append({ tenant, group: "g", id: "a" }, text("a"), { attributes: user("u1") });
      const [{ cursor } = assert.fail()] = await collect(store.find({ tenant, where: user("u1") }));

      const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`n${i}`, "v"]));
      const wheres: readonly unknown[] = [
        {}, undefined, null, "user", many, { "": "v" }, { user: 1 }, { user: undefined }, { user: null },
        { user: "\ud800" }, { "\udc00": "v" }, { user: "x".repeat(4093) }, { user: ["u1"] },
      ]; // prettier-ignore
      for (const where of wheres) {
        await rejectsWith("INVALID", () => collect(store.find({ tenant, where: where as Attributes })));
      }
      for (const after of [
        "",
        "x",
        "_",
        "_0",
        "0_",
        "!_0",
        `${cursor}_`,
        ` ${cursor}`,
        `${cursor} `,
        "x".repeat(300),
      ]) {
        await rejectsWith("INVALID", () => collect(store.find({ tenant, where: user("u1") }, { after })));
      }
      for (const limit of [-1, Number.NaN]) {
        await rejectsWith("INVALID", () => collect(store.find({ tenant, where: user("u1") }, { limit })));
      }
      await rejectsWith("INVALID", () => collect(store.find({ tenant: "", where: user("u1") })));
      await rejectsWith("ABORTED", () =>
        collect(store.find({ tenant, where: user("u1") }, { signal: AbortSignal.abort() })),
      );
    });

    given("answers as maps do, after random work", async (opened) => {
      const draws = new Draws(17);
      const model = new Map<string, Attributes>();
      let { store } = opened;
      for (let step = 0; step < Math.max(30, scaled(200)); step++) {
        const group = `g${draws.below(4)}`;
        const kind = draws.below(12);
        if (kind === 0) {
          await store.deleteGroup({ tenant, group });
          for (const name of model.keys()) if (name.startsWith(`${group}/`)) model.delete(name);
        } else if (kind < 3) {
          const id = `${draws.below(6)}`;
          await store.delete({ tenant, group, id });
          model.delete(`${group}/${id}`);
        } else {
          const ids = new Set(Array.from({ length: 1 + draws.below(4) }, () => `${draws.below(6)}`));
          const items = [...ids].map((id) => ({ id, bytes: text(id), attributes: drawn(draws) }));
          await store.appendMany({ tenant, group }, items);
          for (const { id, attributes } of items) model.set(`${group}/${id}`, attributes);
        }
        if (step % 25 === 24 && supports.reopen && opened.reopen) store = await opened.reopen();
        if (step % 10 === 9) await expectSame(store, model);
      }
      await expectSame(store, model);
    });

    if (supports.reopen) {
      given("goes on behind a cursor after it was opened again, and misses nothing", async (opened) => {
        const { store, reopen = () => assert.fail() } = opened;
        for (let i = 0; i < 10; i++) {
          await store.append({ tenant, group: `g${i}`, id: "a" }, text("x"), { attributes: user("u1") });
        }
        const first = await collect(store.find({ tenant, where: user("u1") }, { limit: 4 }));

        const again = await reopen();
        const rest = await collect(again.find({ tenant, where: user("u1") }, { after: first.at(-1)?.cursor }));

        const seen = new Set([...first, ...rest].map(nameOf));
        assert.equal(seen.size, 10);
      });
    }

    if (supports.readers) {
      given("is the same for a reader beside the writer", async ({ store, openReader = () => assert.fail() }) => {
        await store.append({ tenant, group: "g", id: "before" }, text("x"), { attributes: user("u1") });
        const reader = await openReader();
        assert.deepEqual(await names(reader, user("u1")), ["g/before"]);

        await store.append({ tenant, group: "h", id: "after" }, text("x"), { attributes: user("u1") });
        assert.deepEqual(await names(reader, user("u1")), ["g/before", "h/after"]);
        await store.delete({ tenant, group: "g", id: "before" });
        assert.deepEqual(await names(reader, user("u1")), ["h/after"]);
      });
    }
  });
}

function user(value: string): Attributes {
  return { user: value };
}

function drawn(draws: Draws): Attributes {
  const attributes: Record<string, string> = {};
  if (draws.below(4) > 0) attributes["user"] = `u${draws.below(3)}`;
  if (draws.below(2) > 0) attributes["model"] = `m${draws.below(2)}`;
  if (draws.below(2) > 0) attributes["kind"] = `k${draws.below(2)}`;
  return attributes;
}

async function expectSame(store: PayloadStore, model: ReadonlyMap<string, Attributes>): Promise<void> {
  const wheres = [0, 1, 2].flatMap((n): Attributes[] => [user(`u${n}`), { user: `u${n}`, model: "m0" }]);
  for (const where of [...wheres, { model: "m1", kind: "k1" }, { kind: "k0", user: "u0", model: "m1" }]) {
    const terms = Object.entries(where);
    const expected = [...model].filter(([, has]) => terms.every(([name, value]) => has[name] === value));
    assert.deepEqual(await names(store, where), expected.map(([name]) => name).toSorted(), JSON.stringify(where));
  }
}

/** What is found, as `group/id`, in the order of the names; once, for what is moved meanwhile may come twice. */
async function names(store: PayloadStore, where: Attributes, owner = tenant): Promise<string[]> {
  return namesOf(await collect(store.find({ tenant: owner, where })));
}

function namesOf(found: readonly PayloadHead[]): string[] {
  return [...new Set(found.map(nameOf))].toSorted();
}

function nameOf({ group, id }: { readonly group: string; readonly id: string }): string {
  return `${group}/${id}`;
}
