import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, expect, test } from "vitest";
import type { AwsStore } from "../../core/entries/aws.ts";
import { collect } from "../conformance/expectations.ts";
import { Draws, noise, prose } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, openHandler } from "../support/aws/handlers.ts";
import { hour, minute, startWithMovedClock } from "../support/aws/moved-clock.ts";
import { perTier } from "../support/per-tier.ts";

const { servers, pass, close } = await startWithMovedClock();
afterAll(close);

const tenant = "acme";
const groups = ["g0", "g1", "g2"];
const ids = ["a", "b", "c"];
const users = ["u0", "u1", "u2"];
const steps = 60;

interface Held {
  readonly user: string;
  readonly expiresMs: number;
}

/** Where each user's payloads are. */
function expected(model: ReadonlyMap<string, Held>): Record<string, string[]> {
  const alive = [...model].filter(([, { expiresMs }]) => expiresMs > Date.now());
  return Object.fromEntries(
    users.map((user) => [user, alive.flatMap(([key, held]) => (held.user === user ? [key] : [])).toSorted()]),
  );
}

async function found(store: AwsStore): Promise<Record<string, string[]>> {
  const answers: Record<string, string[]> = {};
  for (const user of users) {
    const items = await collect(store.find({ tenant, where: { user } }));
    answers[user] = items.map(({ group, id }) => `${group}/${id}`).toSorted();
  }
  return answers;
}

/** Handlers that live for long and remember what they put, one that compacts whenever it likes, and time that passes by chance. */
test.each(Array.from({ length: perTier(2, 24) }, (_, seed) => [seed]))(
  "rows that go with their payloads leave out none that a find is to answer, and go in the end (seed %d)",
  async (seed) => {
    const draws = new Draws(seed + 1);
    const place = await freshPlaceOf(servers);
    const open = async () => (await openHandler(servers, place, { indexedAttributes: ["user"] })).store;
    const writers = [await open(), await open()];
    const compactor = await open();
    const model = new Map<string, Held>();
    const runs = { removed: 0 };
    const rows = async () => {
      const { Items = [] } = await servers.dynamo.client().send(new ScanCommand({ TableName: place.table }));
      return Items.filter(({ pk }) => pk?.S?.startsWith("~find/")).length;
    };
    for (let step = 0; step < steps; step++) {
      const store = draws.pick(writers);
      const [group, id, user] = [draws.pick(groups), draws.pick(ids), draws.pick(users)];
      const key = `${group}/${id}`;
      const what = draws.below(10);
      if (what < 5) {
        const lives = draws.below(4) === 0 ? draws.below(90) * minute : Infinity;
        const expiresMs = Date.now() + lives;
        const bytes = draws.below(3) === 0 ? noise(6000, step) : prose(200, step);
        const expiry = lives === Infinity ? {} : { expiresAt: expiresMs };
        await store.append({ tenant, group, id }, bytes, { attributes: { user }, ...expiry });
        model.set(key, { user, expiresMs });
      } else if (what < 7) {
        await store.delete({ tenant, group, id });
        model.delete(key);
      } else if (what === 7) {
        await store.deleteGroup({ tenant, group });
        for (const other of ids) model.delete(`${group}/${other}`);
      } else {
        const before = await rows();
        await compactor.compact();
        runs.removed += Math.max(0, before - (await rows()));
        expect(await found(draws.pick([...writers, compactor])), `seed ${seed}, step ${step}`).toEqual(expected(model));
      }
      pass(draws.pick([1, 5, 12, 20, 36, 55, 130]) * minute);
    }
    expect(await found(await open())).toEqual(expected(model));
    for (const group of groups) await writers[0]!.deleteGroup({ tenant, group });
    for (let hours = 0; hours < 20; hours += 4) {
      pass(4 * hour);
      await compactor.compact();
    }
    expect(await rows()).toBe(0);
    expect(runs.removed).toBeGreaterThan(0);
  },
);
