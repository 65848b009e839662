import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { isPayloadStoreError, openClient, type ClientPayload, type Fetch } from "../../core/entries/client.ts";
import { concat } from "../../core/bytes.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { createApp } from "../../functions/app.ts";
import { collect, rejectsWith } from "../conformance/expectations.ts";
import { noise, prose, text } from "../conformance/sample-bytes.ts";
import { clientLab, type ClientLab } from "../support/client-lab.ts";

const key = { group: "g", id: "a" };
const full = { tenant: "t", ...key };

async function whole(payload: ClientPayload | undefined): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (payload?.body ?? []) as AsyncIterable<Uint8Array>) pieces.push(piece);
  return concat(pieces);
}

describe("get", () => {
  const cases = [
    ["zstd", "zstd", prose(50_000, 1)],
    ["LZ4", "lz4", prose(50_000, 2)],
    ["no codec", "none", prose(50_000, 3)],
    ["bytes that no codec makes smaller", "zstd", noise(50_000, 4)],
  ] as const;

  test.each(cases)("gives the bytes of %s, and takes them as they are stored", async (_what, codec, bytes) => {
    const lab = clientLab();
    const location = await lab.store.append(full, bytes, { codec });
    let received = 0;
    let name: string | null = null;
    const app = createApp(lab.store);
    const client = openClient({
      url: "http://paylode.test",
      tenant: "t",
      fetch: async (url, init) => {
        const response = await app.request(url, init);
        received = Number(response.headers.get("content-length"));
        name = response.headers.get("paylode-stored-codec");
        return response;
      },
    });

    expect(await client.get(key)).toEqual(bytes);

    expect(received).toBe(location.stored - 16);
    expect(name).toBe([null, "lz4", "zstd"][location.codec]);
  });

  test.each(["zstd", "lz4", "none"] as const)(
    "answers no other bytes for a flipped bit on the way: %s",
    async (codec) => {
      const store = openMemory();
      const bytes = prose(3000, 1);
      const { stored } = await store.append(full, bytes, { codec });
      const app = createApp(store);
      let flip = 0;
      const fetch: Fetch = async (url, init) => {
        const response = await app.request(url, init);
        const body = new Uint8Array(await response.arrayBuffer());
        body[flip >> 3]! ^= 1 << (flip & 7);
        return new Response(body, response);
      };
      const client = openClient({ url: "http://paylode.test", tenant: "t", fetch });

      let found = 0;
      const bits = 8 * (stored - 16);
      for (flip = 0; flip < bits; flip += 37) {
        // Bits of a frame's own header may say nothing about the bytes.
        const answer = await client.get(key).catch((error: unknown) => error);
        if (isPayloadStoreError(answer, "CORRUPT")) found += 1;
        else expect({ flip, answer }).toEqual({ flip, answer: bytes });
      }

      expect(found).toBeGreaterThan(0.95 * Math.floor(bits / 37));
    },
  );

  test("makes room for no length that no block has, whatever the headers say", async () => {
    const server: Fetch = () =>
      new Response(new Uint8Array(40), {
        headers: {
          etag: `"${"0".repeat(24)}"`,
          "paylode-bytes": String(2 ** 40),
          "paylode-time": "2030-01-01T00:00:00.000Z",
          "paylode-stored-codec": "lz4",
          "content-length": "40",
        },
      });

    const error = await rejectsWith("CORRUPT", () => clientLab({ server }).client.get(key));

    expect(error.message).toContain("cannot be decoded");
  });

  test("asks for nothing compressed where there is no hash to hold it against", async () => {
    const lab = clientLab();
    await lab.store.append(full, prose(3000, 1), { codec: "zstd" });
    const client = openClient(
      { url: "http://paylode.test", tenant: "t" },
      { fetch: lab.network.fetch, sha256: undefined },
    );

    expect(await client.get(key)).toEqual(prose(3000, 1));
    expect(Object.keys(lab.network.sent[0]?.init.headers ?? {})).toEqual([]);
  });
});

describe("read", () => {
  const bytes = noise(100_000, 1);
  const stored = async (lab: ClientLab): Promise<ClientLab> => {
    await lab.store.append(full, bytes, { contentType: "image/png", attributes: { "a&b": "ü =%" } });
    return lab;
  };

  test("tells what is known of a payload, and streams its bytes", async () => {
    const { client } = await stored(clientLab());

    const payload = await client.read(key);

    expect(payload).toMatchObject({ bytes: 100_000, contentType: "image/png", attributes: { "a&b": "ü =%" } });
    expect(await whole(payload)).toEqual(bytes);
    expect(await client.read({ group: "g", id: "none" })).toBeUndefined();
  });

  test.each([
    [0, 10],
    [99_990, 200_000],
    [10, 10],
    [100_000, 100_001],
    [99_999, Infinity],
  ])("gives the range %i–%i, cut to the payload", async (start, end) => {
    const { client } = await stored(clientLab());

    const payload = await client.read(key, { range: { start, end } });

    expect(payload?.bytes).toBe(100_000);
    expect(await whole(payload)).toEqual(bytes.subarray(start, end));
  });

  test.each([
    [-1, 5],
    [5, 4],
    [0.5, 5],
    [0, Number.NaN],
  ])("refuses the range %d–%d", async (start, end) => {
    const { client } = await stored(clientLab());

    await rejectsWith("INVALID", () => client.read(key, { range: { start, end } }));
  });

  test("gives the range also where the server answers with the whole", async () => {
    const lab = await stored(clientLab());
    const app = createApp(lab.store);
    const server: Fetch = (url, init) => {
      const { range: _range, ...headers } = init.headers;
      return app.request(url, { ...init, headers });
    };

    const payload = await clientLab({ server }).client.read(key, { range: { start: 5, end: 50_000 } });

    expect(await whole(payload)).toEqual(bytes.subarray(5, 50_000));
  });

  test.each(["broken", "quiet"] as const)("fails where the stream ends too early: %s", async (ending) => {
    const { client, timers } = await stored(clientLab({ faults: [{ kind: "cut", ending }] }));

    const payload = await timers.until(client.read(key));

    await rejectsWith("UNAVAILABLE", () => timers.until(whole(payload)));
  });

  test("fails where the next piece takes too long, however slow its reader was before", async () => {
    let left = 3;
    const body = new ReadableStream<Uint8Array>(
      { pull: (controller) => (left-- > 0 ? controller.enqueue(noise(10, 1)) : new Promise(() => {})) },
      { highWaterMark: 0 },
    );
    const slow = clientLab({
      client: { attemptMs: 1000 },
      server: () =>
        new Response(body, {
          headers: { etag: `"${"0".repeat(24)}"`, "paylode-bytes": "100", "paylode-time": "2030-01-01T00:00:00Z" },
        }),
    });

    const payload = await slow.timers.until(slow.client.read(key));
    const reader = payload!.body.getReader();
    for (let i = 0; i < 3; i++) {
      await slow.timers.advance(60_000);
      expect((await reader.read()).value).toHaveLength(10);
    }

    const error = await rejectsWith("UNAVAILABLE", () => slow.timers.until(reader.read()));
    expect(error.message).toContain("no answer within 1000 ms");
  });

  test("cancels the answer when its reader has seen enough", async () => {
    let isCancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(10)),
      cancel: () => void (isCancelled = true),
    });
    const headers = { etag: `"${"0".repeat(24)}"`, "paylode-bytes": "100", "paylode-time": "2030-01-01T00:00:00Z" };
    const { client } = clientLab({ server: () => new Response(body, { headers }) });

    const reader = (await client.read(key))!.body.getReader();
    await reader.read();
    await reader.cancel();

    expect(isCancelled).toBe(true);
  });
});

describe("contents and groups", () => {
  const filled = async (lab: ClientLab): Promise<ClientLab> => {
    const items = Array.from({ length: 50 }, (_, i) => ({
      id: `${i}`,
      bytes: i % 2 ? noise(200, i) : text(`text ${i}`),
    }));
    await lab.store.appendMany({ tenant: "t", group: "g" }, items);
    return lab;
  };

  test("give every payload of a group, its text and its bytes", async () => {
    const { client, store } = await filled(clientLab());

    const contents = await collect(client.contents({ group: "g" }));

    const wanted = await collect(store.contents({ tenant: "t", group: "g" }));
    expect(contents.map(({ id, body }) => [id, body])).toEqual(wanted.map(({ id, body }) => [id, body]));
    expect(await collect(client.groups())).toEqual([{ group: "g", payloads: 50 }]);
  });

  test("reject where the answer breaks off, so that nobody takes it for the whole", async () => {
    const { client } = await filled(clientLab({ faults: () => ({ kind: "cut", ending: "broken" }) }));

    await rejectsWith("UNAVAILABLE", () => collect(client.contents({ group: "g" })));
    await rejectsWith("UNAVAILABLE", () => collect(client.groups()));
  });

  test.each(["[]", "text", '{"group":"g","id":"a"}', '{"group":"g","id":"a","base64":"?"}'])(
    "reject what is no line of an export: %s",
    async (line) => {
      const { client } = clientLab({ server: () => new Response(`${line}\n`) });

      await rejectsWith("INVALID", () => collect(client.contents({ group: "g" })));
    },
  );

  test("are repeated until they have begun", async () => {
    const { client, timers, network } = await filled(clientLab({ faults: [{ kind: "status", status: 503 }] }));

    expect(await timers.until(collect(client.contents({ group: "g" })))).toHaveLength(50);
    expect(network.sent).toHaveLength(2);
  });
});

describe("list", () => {
  test("asks page by page, only as far as it is read", async () => {
    const lab = clientLab();
    const items = Array.from({ length: 2500 }, (_, i) => ({ id: `${i}`, bytes: text("x") }));
    await lab.store.appendMany({ tenant: "t", group: "g" }, items);

    const all = await collect(lab.client.list({ group: "g" }));
    expect(all.map(({ id }) => id)).toEqual(items.map(({ id }) => id));
    expect(lab.network.sent).toHaveLength(3);
    expect(await collect(lab.client.list({ group: "g" }, { limit: 1001 }))).toHaveLength(1001);

    for await (const { id } of lab.client.list({ group: "g" })) if (id === "10") break;
    expect(lab.network.sent).toHaveLength(6);

    const first = await lab.client.page({ group: "g" }, { limit: 10 });
    const second = await lab.client.page({ group: "g" }, { limit: 10, after: first.next });
    expect(second.payloads.map(({ id }) => id)).toEqual(items.slice(10, 20).map(({ id }) => id));
  });
});

describe("openClient", () => {
  test.each([
    ["url", { url: "paylode.example" }],
    ["url", { url: "ftp://paylode.example" }],
    ["url", { url: ["https://user", "secret@paylode.example"].join(":") }],
    ["url", { url: "https://paylode.example/?x" }],
    ["tenant", { tenant: "No_Tenant" }],
    ["key", { key: "two words" }],
    ["key", { key: "" }],
    ["attemptMs", { attemptMs: 0 }],
    ["deadlineMs", { deadlineMs: Number.NaN }],
    ["attempts", { attempts: 65 }],
  ])("refuses a wrong %s: %j", async (field, options) => {
    const error = await rejectsWith("INVALID", () => openClient({ url: "http://p.test", tenant: "t", ...options }));

    expect(error.details["field"]).toBe(field);
  });

  test("sends its key, and keeps the path in front of /v1", async () => {
    const lab = clientLab({ client: { url: "http://paylode.test/behind/", key: "secret" } });

    await lab.client.stats().catch(() => {});

    expect(lab.network.sent[0]?.url).toBe("http://paylode.test/behind/v1/t/stats");
    expect(lab.network.sent[0]?.init.headers["authorization"]).toBe("Bearer secret");
  });
});

describe("getMany", () => {
  test("answers in the order asked, also of what is absent or asked for twice", async () => {
    const { client, store } = clientLab();
    const items = Array.from({ length: 40 }, (_, i) => ({ id: `${i}`, bytes: prose(100 + i, i) }));
    await store.appendMany({ tenant: "t", group: "g" }, items);
    const ids = [...items.map(({ id }) => id).toReversed(), "none", "7", "7"];

    const found = await client.getMany({ group: "g" }, ids);

    expect(found).toEqual([
      ...items.map(({ bytes }) => bytes).toReversed(),
      undefined,
      items[7]!.bytes,
      items[7]!.bytes,
    ]);
    expect(await client.getMany({ group: "g" }, [])).toEqual([]);
  });

  test("asks for 16 at the same time, and for no more once one has failed", async () => {
    const app = createApp(openMemory());
    let underWay = 0;
    let most = 0;
    let asked = 0;
    const client = openClient({
      url: "http://paylode.test",
      tenant: "t",
      attempts: 1,
      fetch: async (url, init) => {
        asked += 1;
        most = Math.max(most, (underWay += 1));
        await setTimeout(1);
        underWay -= 1;
        return asked > 20 ? new Response("", { status: 500 }) : app.request(url, init);
      },
    });
    const ids = Array.from({ length: 500 }, (_, i) => `${i}`);

    await rejectsWith("UNAVAILABLE", () => client.getMany({ group: "g" }, ids));
    await setTimeout(20);

    expect(most).toBe(16);
    expect(asked).toBeLessThan(60);
  });
});
