import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { createApp } from "../../functions/app.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "../support/machine.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "acme";
const hourMs = 3_600_000;

interface Receipt {
  readonly erasure: string;
  readonly state: string;
  readonly groups: number;
  readonly payloads: number;
}

async function opened() {
  const clock = new ManualClock();
  const fs = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" });
  const store = await openDisk({ directory: "/store" }, { ...simulatedMachine(fs, 1), clock });
  const app = createApp(store);
  const ask = (selector: unknown, of = tenant) =>
    app.request(`/v1/${of}/erasures`, { method: "POST", body: JSON.stringify(selector) });
  const receipt = async (erasure: string, of = tenant) => app.request(`/v1/${of}/erasures/${erasure}`);
  const list = async (of = tenant) => {
    const answer = await app.request(`/v1/${of}/erasures`);
    return ((await answer.json()) as { readonly erasures: readonly Receipt[] }).erasures;
  };
  return { clock, store, ask, receipt, list };
}

describe("an erasure over HTTP", () => {
  test("is of ids, a group, attributes, a time or everything, and its receipt has what was asked for and when", async () => {
    const { clock, store, ask, receipt, list } = await opened();
    const at = (ms: number) => new Date(ms).toISOString();
    const put = (group: string, id: string, subject?: string) =>
      store.append({ tenant, group, id }, noise(500, 1), { attributes: subject === undefined ? {} : { subject } });
    const startMs = clock.ms;
    for (const id of ["a", "b", "c"]) await put("g", id, `u-${id}`);
    clock.ms += hourMs;
    for (const group of ["h", "i"]) await put(group, "a", "u-a");
    await put("j", "a");
    clock.ms += hourMs;
    await put("k", "a");

    const asked: [selector: object, payloads: number, more: object][] = [
      [{ group: "g", ids: ["b", "never"] }, 1, { unknown: ["never"] }],
      [{ group: "h" }, 1, { unknown: [] }],
      [{ where: { subject: "u-a" } }, 2, { groups: 4 }],
      [{ from: at(startMs + hourMs), to: at(startMs + 2 * hourMs) }, 1, {}],
      [{ everything: true }, 2, {}],
    ];
    for (const [selector, payloads, more] of asked) {
      clock.ms += 1;
      const answer = await ask(selector);
      const body = (await answer.json()) as Receipt;
      expect(answer.status).toBe(202);
      expect(body).toMatchObject({
        state: "hidden",
        selector,
        payloads,
        requested: at(clock.ms),
        hidden: at(clock.ms),
        ...more,
      });
      expect(body).not.toHaveProperty("gone");
      expect(answer.headers.get("location")).toBe(`/v1/${tenant}/erasures/${body.erasure}`);
      expect(await (await receipt(body.erasure)).json()).toEqual(body);
    }
    expect(await store.size({ tenant })).toBe(0);

    await store.compact({ graceMs: hourMs });
    expect((await list()).map(({ state }) => state)).toEqual(asked.map(() => "waiting"));
    clock.ms += hourMs;
    await store.compact({ graceMs: hourMs });

    const receipts = await list();
    expect(receipts.map(({ payloads }) => payloads)).toEqual(asked.map(([, payloads]) => payloads));
    for (const { erasure } of receipts) {
      const gone = { segment: expect.any(String), state: "gone", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) };
      const ended = { state: "gone", gone: at(clock.ms), segments: [gone], successors: [] };
      expect(await (await receipt(erasure)).json()).toMatchObject(ended);
    }
    await store.close();
  });

  test("can be followed while it hides: it is in the list, with the groups and payloads so far", async () => {
    const { store, ask, list } = await opened();
    const groups = 200;
    for (let g = 0; g < groups; g++) await store.append({ tenant, group: `g${g}`, id: "a" }, noise(100, g));

    let isOver = false;
    const asking = (async () => {
      const answer = await ask({ everything: true });
      isOver = true;
      return (await answer.json()) as Receipt;
    })();
    const seen: Receipt[] = [];
    while (!isOver) {
      seen.push(...(await list()));
      await setImmediate();
    }
    const ended = await asking;

    expect(ended).toMatchObject({ state: "hidden", groups, payloads: groups });
    const hiding = seen.filter(({ state }) => state === "hiding");
    const steps = [...new Set(hiding.map((one) => `${one.groups} ${one.payloads}`))];
    expect(steps.length).toBeGreaterThan(2);
    for (const { groups: so, payloads } of hiding) {
      expect(so).toBe(payloads);
      expect(so).toBeLessThan(groups);
    }
    expect(new Set(seen.map(({ erasure }) => erasure))).toEqual(new Set([ended.erasure]));
    await store.close();
  });

  test("takes nothing of another tenant, and tells it nothing", async () => {
    const { store, ask, receipt, list } = await opened();
    for (const of of [tenant, "other"]) await store.append({ tenant: of, group: "g", id: "a" }, noise(100, 1));

    const { erasure } = (await (await ask({ everything: true })).json()) as Receipt;

    expect(await store.has({ tenant: "other", group: "g", id: "a" })).toBe(true);
    expect(await list("other")).toEqual([]);
    expect((await receipt(erasure, "other")).status).toBe(404);
    expect((await receipt("0".repeat(12))).status).toBe(404);
    expect((await receipt("not-one")).status).toBe(404);
    await store.close();
  });

  test("is refused where it says nothing, or what nobody understands, and hides nothing", async () => {
    const { store, ask, list } = await opened();
    await store.append({ tenant, group: "g", id: "a" }, noise(100, 1));

    for (const selector of [
      {},
      [],
      null,
      { ids: ["a"] },
      { group: "g", ids: [] },
      { group: "g", everything: true },
      { everything: false },
      { where: {} },
      { where: { subject: 1 } },
      { from: "yesterday" },
      { from: 1_750_000_000_000 },
      { grup: "g" },
    ]) {
      const answer = await ask(selector);
      expect(answer.status, JSON.stringify(selector)).toBe(400);
      expect(await answer.json()).toMatchObject({ code: "INVALID" });
    }

    expect([await store.size({ tenant }), await list()]).toEqual([1, []]);
    await store.close();
  });
});
