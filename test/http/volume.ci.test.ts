import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../core/limits.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { Draws, noise, prose } from "../conformance/sample-bytes.ts";
import { peakBytes } from "../support/peak-bytes.ts";

const mebibyte = 1024 * 1024;
const timeout = 300_000;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "paylode-volume-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe("a local server", () => {
  let server: LocalServer;
  beforeEach(async () => {
    server = await serveLocal({ directory, port: 0 });
  });
  afterEach(() => server.close());

  test(
    "gives back 1,000 payloads of 0 B–8 MiB, of every first byte, with their content types",
    { timeout },
    async () => {
      const payloads = manyPayloads();
      expect(new Set(payloads.map(({ bytes }) => bytes[0])).size).toBe(257); // and none, of the empty ones
      expect(payloads.reduce((total, { bytes }) => total + bytes.length, 0)).toBeLessThan(1024 * mebibyte);
      const urlOf = (i: number) => `${server.url}/v1/acme/groups/g${i % 7}/payloads/${i}`;

      await eightAtATime(payloads, async ({ bytes, contentType }, i) => {
        const headers = contentType === undefined ? {} : { "content-type": contentType };
        const stored = await fetch(urlOf(i), { method: "PUT", body: bytes.slice(), headers });
        expect([i, stored.status, await stored.json()]).toMatchObject([i, 200, { id: `${i}`, bytes: bytes.length }]);
      });

      await eightAtATime(payloads, async ({ bytes, contentType }, i) => {
        const got = await fetch(urlOf(i));
        expect([i, got.status, got.headers.get("content-type")]).toEqual([
          i,
          200,
          contentType ?? "application/octet-stream",
        ]);
        expect(got.headers.get("content-length")).toBe(`${bytes.length}`);
        sameBytes(new Uint8Array(await got.arrayBuffer()), bytes, `payload ${i}`);
      });
      expect(await server.store.size({ tenant: "acme" })).toBe(payloads.length);
      expect((await server.store.verify()).faults).toEqual([]);
    },
  );

  test("never mixes two tenants in 10,000 interleaved calls", { timeout }, async () => {
    const callers = ["acme", "other"].flatMap((tenant) =>
      Array.from({ length: 8 }, (_, i) => new Caller(server.url, tenant, i)),
    );
    await Promise.all(callers.map((caller) => caller.call(10_000 / callers.length)));

    expect(callers.reduce((total, { calls }) => total + calls, 0)).toBe(10_000);
    for (const tenant of ["acme", "other"]) {
      const held = callers.filter((caller) => caller.tenant === tenant).map(({ held: { size } }) => size);
      expect(await server.store.size({ tenant })).toBe(held.reduce((total, size) => total + size, 0));
    }
    for (const caller of callers) await caller.expectHeld();
  });
});

// Only Linux tells how much memory another process had at most.
describe.skipIf(process.platform !== "linux")("the memory of a server", () => {
  test("rises by three times the longest payload at most when it is put, and when it is got", { timeout }, async () => {
    const bytes = noise(limits.payloadBytesMax, 1);

    const put = await riseOf(async (url) => {
      expect((await fetch(url, { method: "PUT", body: bytes.slice() })).status).toBe(200);
    });
    const got = await riseOf(async (url) => {
      sameBytes(new Uint8Array(await (await fetch(url)).arrayBuffer()), bytes);
    });

    const [whenPut, whenGot] = [put, got].map((rise) => Math.round(rise / mebibyte));
    console.log(`64 MiB: the server rose by ${whenPut} MiB when it was put, by ${whenGot} MiB when it was got`);
    expect(Math.max(put, got)).toBeLessThan(3 * bytes.length + 32 * mebibyte);
  });
});

/** How much more memory than for small payloads a fresh server in a process of its own takes at most, in bytes. */
async function riseOf(act: (url: string) => Promise<void>): Promise<number> {
  const main = path.join(import.meta.dirname, "../../cli/main.ts");
  const child = spawn(process.execPath, [main, "serve", "--dir", directory, "--port", "0", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  try {
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { url } = JSON.parse(String(line)) as { url: string };
    const small = `${url}/v1/t/groups/g/payloads/small`;
    for (let i = 0; i < 20; i++) {
      await (await fetch(small, { method: "PUT", body: new Uint8Array(65_536) })).arrayBuffer();
      await (await fetch(small)).arrayBuffer();
    }
    const before = peakBytes(child.pid);
    await act(`${url}/v1/t/groups/g/payloads/large`);
    return peakBytes(child.pid) - before;
  } finally {
    child.kill("SIGKILL");
    await closed;
  }
}

interface Sent {
  readonly bytes: Uint8Array;
  readonly contentType: string | undefined;
}

/** Each first byte three times and more; lengths at the edges of blocks, tiers and pieces, else as many of one size as of any other. */
function manyPayloads(): Sent[] {
  const draws = new Draws(31);
  const edges = [0, 1, 2, 1023, 1024, 1025, 65_535, 65_536, 65_537, 262_144, 262_145];
  const large = [-1, 0, 1].flatMap((by) => [4 * mebibyte + by, 8 * mebibyte - 1 + by]);
  const types = [undefined, "text/plain", "application/json; charset=utf-8", "image/png", "application/x-ndjson"];
  return Array.from({ length: 1000 }, (_, i) => {
    const length = edges[i] ?? large[i - edges.length] ?? Math.max(1, draws.logUniform(8 * mebibyte));
    const bytes = i % 2 === 0 ? prose(length, i) : noise(length, i);
    if (length > 0) bytes[0] = i;
    return { bytes, contentType: types[i % types.length] };
  });
}

async function eightAtATime<T>(items: readonly T[], work: (item: T, i: number) => Promise<void>): Promise<void> {
  const queue = items.entries();
  const worker = async () => {
    for (const [i, item] of queue) await work(item, i);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** Calls of one client, one after the other, on ids of its own in groups that both tenants have by the same names. */
class Caller {
  readonly tenant: string;
  readonly held = new Map<string, Uint8Array>();
  calls = 0;
  readonly #url: string;
  readonly #number: number;
  readonly #draws: Draws;

  constructor(url: string, tenant: string, number: number) {
    this.#url = url;
    this.tenant = tenant;
    this.#number = number;
    this.#draws = new Draws(number + (tenant === "acme" ? 100 : 200));
  }

  async call(times: number): Promise<void> {
    for (let left = times; left > 0; left--) {
      this.calls += 1;
      const name = `g${this.#draws.below(3)}/payloads/${this.#number}.${this.#draws.below(4)}`;
      const kind = this.#draws.below(10);
      if (kind < 4) await this.#put(name);
      else if (kind < 9) await this.#expectGot(name);
      else await this.#delete(name);
    }
  }

  /** What one of its names holds, at last. */
  async expectHeld(): Promise<void> {
    for (const name of this.held.keys()) await this.#expectGot(name);
  }

  async #put(name: string): Promise<void> {
    const body = new TextEncoder().encode(`${this.tenant} ${name} ${this.calls} ${"x".repeat(this.#draws.below(900))}`);
    const response = await fetch(this.#at(name), { method: "PUT", body });
    expect([name, response.status, await response.json()]).toMatchObject([name, 200, { bytes: body.length }]);
    this.held.set(name, body);
  }

  async #expectGot(name: string): Promise<void> {
    const response = await fetch(this.#at(name));
    const body = new Uint8Array(await response.arrayBuffer());
    const expected = this.held.get(name);
    expect([this.tenant, name, response.status]).toEqual([this.tenant, name, expected ? 200 : 404]);
    if (expected) sameBytes(body, expected, `${this.tenant} ${name}`);
  }

  async #delete(name: string): Promise<void> {
    const response = await fetch(this.#at(name), { method: "DELETE" });
    const wasThere = this.held.delete(name);
    expect([name, response.status]).toEqual([name, wasThere ? response.status : 404]);
    expect(response.ok).toBe(wasThere);
    await response.arrayBuffer();
  }

  #at(name: string): string {
    return `${this.#url}/v1/${this.tenant}/groups/${name}`;
  }
}
