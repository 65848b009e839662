import { describe, expect, test } from "vitest";
import { openClient } from "../../core/entries/client.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { createApp } from "../../functions/app.ts";

const dayMs = 86_400_000;

function opened() {
  const store = openMemory({ retentionMs: { defaultMs: 30 * dayMs, classesMs: { debug: 7 * dayMs, audit: 0 } } });
  const app = createApp(store);
  const request = (path: string, init: RequestInit = {}) => app.request(`/v1/acme/groups/g${path}`, init);
  const keptDays = async (id: string) => {
    const head = await store.head({ tenant: "acme", group: "g", id });
    return head?.expiresMs === undefined ? undefined : (head.expiresMs - head.timeMs) / dayMs;
  };
  const client = openClient({
    url: "http://localhost",
    tenant: "acme",
    fetch: (url, init) => app.request(url, init),
  });
  return { request, keptDays, client };
}

describe("a retention class over HTTP", () => {
  test("is named by a header, in a line, and by the client", async () => {
    const { request, keptDays, client } = opened();

    const put = await request("/payloads/header", {
      method: "PUT",
      body: "x",
      headers: { "paylode-retention": "debug" },
    });
    const lines = ["debug", "audit"].map((retention) =>
      JSON.stringify({ id: `line ${retention}`, text: "x", retention }),
    );
    const batch = await request("/payloads", {
      method: "POST",
      body: `${lines.join("\n")}\n`,
      headers: { "content-type": "application/x-ndjson" },
    });
    await client.append({ group: "g", id: "client" }, new Uint8Array(1), { retention: "debug" });
    await client.appendMany({ group: "g" }, [
      { id: "client's batch", bytes: new Uint8Array(1), retention: "debug" },
      { id: "default", bytes: new Uint8Array(1) },
    ]);

    expect([put.status, batch.status]).toEqual([200, 200]);
    const ids = ["header", "line debug", "line audit", "client", "client's batch", "default"];
    expect(await Promise.all(ids.map(keptDays))).toEqual([7, 7, undefined, 7, 7, 30]);
  });

  test("that nobody knows is 400, and names those that there are", async () => {
    const { request, client } = opened();

    const put = await request("/payloads/a", { method: "PUT", body: "x", headers: { "paylode-retention": "forever" } });

    expect(put.status).toBe(400);
    expect(await put.json()).toMatchObject({ code: "INVALID", field: "retention", known: "debug, audit" });
    const appending = client.append({ group: "g", id: "a" }, new Uint8Array(1), { retention: "forever" });
    await expect(appending).rejects.toMatchObject({ code: "INVALID" });
  });
});
