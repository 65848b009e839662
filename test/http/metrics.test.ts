import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openMemory } from "../../core/entries/memory.ts";
import { PayloadStoreError } from "../../core/errors.ts";
import { createApp } from "../../functions/app.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";

describe("/metrics of the local server", () => {
  let directory: string;
  let server: LocalServer;
  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), "paylode-metrics-"));
    server = await serveLocal({ directory, port: 0 });
  });
  afterEach(async () => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const template = "/v1/:tenant/groups/:group/payloads/:id";
  const scrape = async (): Promise<string> => (await fetch(`${server.url}/metrics`)).text();
  /** The samples of a metric: labels as they are printed → value. */
  const samples = async (name: string): Promise<Record<string, number>> => {
    const lines = (await scrape()).matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm);
    return Object.fromEntries(
      [...lines].flatMap(([, metric, labels = "", value]) => (metric === name ? [[labels, Number(value)]] : [])),
    );
  };
  /** A request is counted once its connection is done with the answer, which a client may have read before. */
  const settled = async (count: number): Promise<Record<string, number>> => {
    for (;;) {
      const counted = await samples("paylode_http_requests_total");
      const others = Object.entries(counted).filter(([labels]) => !labels.includes('route="/metrics"'));
      if (others.reduce((sum, [, value]) => sum + value, 0) >= count) return Object.fromEntries(others);
    }
  };

  test("has the metrics that docs/http.md names, with their labels", async () => {
    await fetch(`${server.url}/healthz`);
    await settled(1);
    const documented = readFileSync(new URL("../../docs/http.md", import.meta.url), "utf8");
    const rows = [...documented.matchAll(/^\| `(paylode_\w+)` +\| (\w+) +\| ([^|]*)\|/gm)];

    const printed = await scrape();

    const types = Object.fromEntries([...printed.matchAll(/^# TYPE (paylode_\w+) (\w+)$/gm)].map(([, n, t]) => [n, t]));
    expect(Object.fromEntries(rows.map(([, name, type]) => [name, type]))).toEqual(types);
    for (const [, name = "", , labels = ""] of rows) {
      const sample = new RegExp(`^${name}(?:_count)?(?:\\{(.*)\\})? `, "m").exec(printed);
      const used = [...(sample?.[1] ?? "").matchAll(/(\w+)=/g)].map(([, label]) => label);
      expect({ name, labels: used }).toEqual({
        name,
        labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
      });
    }
    for (const ofProcess of ["process_resident_memory_bytes", "nodejs_eventloop_lag_p99_seconds"])
      expect(printed).toContain(`# TYPE ${ofProcess} gauge`);
  });

  test("counts requests by method, template and status, and names no tenant, group or id", async () => {
    for (const id of ["secret-a", "secret-b"]) {
      const url = `${server.url}/v1/secret-tenant/groups/secret-group/payloads/${id}`;
      expect((await fetch(url, { method: "PUT", body: "x" })).status).toBe(200);
      expect((await fetch(url)).status).toBe(200);
    }
    await fetch(`${server.url}/v1/secret-tenant/groups/%zz/payloads/secret`);
    await fetch(`${server.url}/secret/path`);
    await fetch(`${server.url}/healthz`, { method: "PATCH" });

    const counted = await settled(7);

    expect(counted).toEqual({
      [`method="PUT",route="${template}",status="200"`]: 2,
      [`method="GET",route="${template}",status="200"`]: 2,
      [`method="GET",route="${template}",status="400"`]: 1,
      'method="GET",route="none",status="404"': 1,
      'method="other",route="/healthz",status="405"': 1,
    });
    expect(await scrape()).not.toContain("secret");
  });

  test("counts what is refused before it reaches the app", async () => {
    const socket = connect(server.port, "127.0.0.1");
    socket.write("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    for await (const _piece of socket);

    expect(await settled(1)).toEqual({ 'method="GET",route="/healthz",status="421"': 1 });
  });

  test("counts an answer that breaks off as broken, not by the status it began with", async () => {
    await server.store.append({ tenant: "t", group: "g", id: "a" }, new TextEncoder().encode("x".repeat(100_000)));
    server.store.contents = async function* (key, options) {
      for await (const listed of server.store.list(key, options)) yield { ...listed, body: new Uint8Array(100_000) };
      throw new PayloadStoreError("CORRUPT", "crc");
    };

    const url = `${server.url}/v1/t/groups/g/payloads?include=data`;
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow("terminated");

    expect(await settled(1)).toEqual({ 'method="GET",route="/v1/:tenant/groups/:group/payloads",status="broken"': 1 });
  });

  test("adds up the bytes on the wire and the time of each request", async () => {
    const url = `${server.url}/v1/t/groups/g/payloads/a`;
    await fetch(url, { method: "PUT", body: new Uint8Array(100_000) });
    await (await fetch(url)).arrayBuffer();
    await settled(2);

    const read = await samples("paylode_http_request_bytes_total");
    const written = await samples("paylode_http_response_bytes_total");
    const seconds = await samples("paylode_http_request_duration_seconds_sum");

    const [put, get] = [`method="PUT",route="${template}"`, `method="GET",route="${template}"`];
    expect(read[put]).toBeGreaterThan(100_000);
    expect(read[put]).toBeLessThan(102_000);
    expect(read[get]).toBeLessThan(2_000);
    expect(written[put]).toBeLessThan(2_000);
    expect(written[get]).toBeGreaterThan(100_000);
    expect(written[get]).toBeLessThan(102_000);
    expect(seconds[put]).toBeGreaterThan(0);
    expect(await samples("paylode_http_request_duration_seconds_count")).toMatchObject({ [put]: 1, [get]: 1 });
  });

  test("says whether the store takes writes", async () => {
    expect(await samples("paylode_store_writable")).toEqual({ "": 1 });
    server.store.health = () => ({ ok: false, reason: "a sync failed", degraded: [] });
    expect(await samples("paylode_store_writable")).toEqual({ "": 0 });
  });

  test("keeps the numbers of two servers apart", async () => {
    const other = await serveLocal({ directory: path.join(directory, "other"), port: 0 });
    await fetch(`${other.url}/healthz`);
    await other.close();

    expect(await settled(0)).toEqual({});
  });
});

test("an app that keeps no metrics answers 404", async () => {
  const response = await createApp(openMemory()).request("/metrics");

  expect(response.status).toBe(404);
});
