import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { createServer, connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { PayloadStoreError } from "../../core/errors.ts";
import { serveLocal, type LocalServer } from "../../functions/local.ts";

/** What only a socket can send, and what only a process does. The rest is in test/support/http-api-suite.ts. */
describe("serveLocal", () => {
  let directory: string;
  let server: LocalServer;
  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), "paylode-local-"));
    server = await serveLocal({ directory, port: 0 });
  });
  afterEach(async () => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const g = { tenant: "t", group: "g", id: "a" };

  /** Sends bytes as they are and gives back all of the answer. */
  const onTheWire = async (text: string): Promise<string> => {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(text, "latin1");
    let answer = "";
    for await (const piece of socket) answer += String(piece);
    return answer;
  };
  const requestFor = (method: string, target: string, headers = ""): string =>
    `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n${headers}\r\n`;

  test.each([
    "/v1/t/groups/../groups/g",
    "/v1/t/groups/x/../g",
    "/v1/t/groups/./g",
    "/v1/t/groups/%2e/g",
    "/v1/t/groups/%2e%2e/groups/g",
    "/v1/t/groups/.%2E/groups/g",
    "/v1/t/groups\\g",
    "/v1/t/groups/x\\..\\g",
    "/v1/t/groups//g",
    "/v1/t//groups/g",
    "//v1/t/groups/g",
    "/v1/t/groups/g/",
    "/v1/t/groups/g#x",
    "/v1/t/groups/g/../g?x=/",
    "/v1/t/groups/g%",
    "/v1/t/groups/g%ff",
    "/v1/t/groups/\u00e9/../g",
    "http://127.0.0.1/v1/t/groups/x/../g",
    "http:/v1/t/groups/g",
    "v1/t/groups/g",
  ])("answers DELETE %s with 400 and deletes nothing", async (target) => {
    await server.store.append(g, new Uint8Array(1));

    const answer = await onTheWire(requestFor("DELETE", target));

    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(await server.store.has(g)).toBe(true);
  });

  test("takes the absolute form of a target, as a proxy sends it", async () => {
    await server.store.append(g, new Uint8Array(1));

    const answer = await onTheWire(requestFor("DELETE", `http://127.0.0.1:${server.port}/v1/t/groups/g`));

    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(await server.store.has(g)).toBe(false);
  });

  test.each([
    ["an empty one", ""],
    ["a name that a stranger made resolve to this machine", "evil.example:80"],
    ["an address beyond the loopback", "192.168.0.2"],
  ])("refuses a Host of %s", async (_what, host) => {
    const answer = await onTheWire(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

    expect(answer).toMatch(/^HTTP\/1\.1 421 /);
  });

  test("refuses pages of other origins, and lets in what is no page", async () => {
    const foreign = await onTheWire(requestFor("POST", "/v1/t/payloads", "Sec-Fetch-Site: cross-site\r\n"));
    const own = await onTheWire(requestFor("GET", "/healthz", "Sec-Fetch-Site: same-origin\r\n"));

    expect(foreign).toMatch(/^HTTP\/1\.1 403 /);
    expect(own).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([
    ["Content-Length", `Content-Length: 1000\r\n\r\n${"x".repeat(500)}`],
    ["chunks", `Transfer-Encoding: chunked\r\n\r\n100\r\n${"x".repeat(256)}\r\n100\r\nxxx`],
  ])("stores nothing of a body that is cut in the middle, announced by %s", async (_how, rest) => {
    const head = `PUT /v1/t/groups/g/payloads/a HTTP/1.1\r\nHost: localhost\r\n`;
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(head + rest);
    await fetch(`${server.url}/healthz`);

    socket.destroy();
    await once(socket, "close");
    for (let i = 0; i < 20; i++) await fetch(`${server.url}/healthz`);

    expect(await server.store.has(g)).toBe(false);
    expect(await server.store.isEmpty({ tenant: "t" })).toBe(true);
  });

  test("answers 413 to a body that is announced as too long, before it is sent", async () => {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(`PUT /v1/t/groups/g/payloads/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\nxx`);

    const [first] = (await once(socket, "data")) as [Buffer];

    expect(String(first)).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  test("breaks the connection when an export fails in the middle", async () => {
    await server.store.append(g, new TextEncoder().encode("x".repeat(100_000)));
    await server.store.append({ ...g, id: "b" }, new Uint8Array(1));
    const contents = server.store.contents.bind(server.store);
    server.store.contents = async function* (key, options) {
      for await (const payload of contents(key, options)) {
        if (payload.id === "b") throw new PayloadStoreError("CORRUPT", "crc");
        yield payload;
      }
    };

    const answer = await onTheWire(requestFor("GET", "/v1/t/groups/g/payloads?include=data"));

    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain("chunked");
    expect(answer).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(answer).not.toContain("crc");
    const url = `${server.url}/v1/t/groups/g/payloads?include=data`;
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow("terminated");
  });

  test("streams a long payload, and breaks the connection where it is damaged", async () => {
    const long = randomBytes(9 * 1024 * 1024);
    await server.store.append(g, long);
    const url = `${server.url}/v1/t/groups/g/payloads/a`;
    const whole = await fetch(url);
    expect(whole.headers.get("content-length")).toBe(String(long.length));
    expect(Buffer.from(await whole.arrayBuffer()).equals(long)).toBe(true);

    const segments = path.join(directory, "segments/t");
    const segment = path.join(segments, readdirSync(segments)[0]!);
    const file = openSync(segment, "r+");
    writeSync(file, "damage", 6 * 1024 * 1024);
    closeSync(file);

    const part = await fetch(url, { headers: { range: "bytes=0-99" } });
    expect(Buffer.from(await part.arrayBuffer()).equals(long.subarray(0, 100))).toBe(true);
    await expect(fetch(url).then((response) => response.arrayBuffer())).rejects.toThrow("terminated");
    const damaged = await fetch(url, { headers: { range: "bytes=6291456-6291460" } });
    expect(damaged.status).toBe(500);
    expect(await damaged.json()).toMatchObject({ code: "CORRUPT" });
  });

  test("finishes the request it is in when it is closed, takes no other, and lets go of the folder", async () => {
    const socket = connect(server.port, "127.0.0.1");
    const answer = once(socket, "data");
    socket.write(`PUT /v1/t/groups/g/payloads/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel`);
    await fetch(`${server.url}/healthz`);

    const closed = server.close();
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow("fetch failed");
    socket.write("lo");

    expect(String((await answer)[0])).toMatch(/^HTTP\/1\.1 200 /);
    await closed;
    const store = await openDisk({ directory });
    expect(new TextDecoder().decode(await store.get(g))).toBe("hello");
    await store.close();
  });

  test("is found by others through the folder", async () => {
    const error = await openDisk({ directory }).catch((reason: unknown) => reason);

    expect(error).toMatchObject({ code: "LOCKED", details: { pid: process.pid, url: server.url } });
  });

  test("says that the port is taken, and lets go of the folder", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const folder = path.join(directory, "second");

    await expect(serveLocal({ directory: folder, port })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: `port ${port} on 127.0.0.1 is taken; choose another one, or 0 for any`,
    });

    await (await openDisk({ directory: folder })).close();
    other.close();
  });

  test.each(["0.0.0.0", "::", "192.168.0.2", "example.org", "127.0.0.1.example.org", ""])(
    "refuses to serve at %j",
    async (host) => {
      const folder = path.join(directory, "second");

      await expect(serveLocal({ directory: folder, port: 0, host })).rejects.toMatchObject({ code: "INVALID" });
    },
  );
});
