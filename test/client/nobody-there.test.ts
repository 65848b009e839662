import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { openClient } from "../../core/entries/client.ts";
import { rejectsWith } from "../conformance/expectations.ts";

const few = { tenant: "acme", attempts: 2, deadlineMs: 20_000 } as const;

/** A port at which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe("where nobody answers", () => {
  test("a call says so, and that nothing was sent", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;

    for (const call of [
      () => openClient({ url, ...few }).stats(),
      () => openClient({ url, ...few }).append({ group: "g", id: "a" }, new Uint8Array(1)),
    ]) {
      const error = await rejectsWith("UNAVAILABLE", call);
      expect(error.message).toBe(`nobody answers at ${url}: connect ECONNREFUSED ${url.slice(7)}`);
      expect(error.details).toEqual({ sent: false });
    }
  });

  test("a name with two addresses says why too", async () => {
    const url = `http://localhost:${await freePort()}`;

    const error = await rejectsWith("UNAVAILABLE", () => openClient({ url, ...few }).stats());

    expect(error.message).toMatch(/nobody answers at http:\/\/localhost:\d+: .*ECONNREFUSED/);
  });

  test("a port that fetch does not open is told at once", async () => {
    const error = await rejectsWith("UNAVAILABLE", () =>
      openClient({ url: "http://localhost:1", tenant: "acme" }).stats(),
    );

    expect(error).toMatchObject({
      message: "nobody answers at http://localhost:1: bad port",
      details: { sent: false },
    });
  });

  test("any more, a write that was sent before may have taken effect, and nothing else is said", async () => {
    let asked = 0;
    const fetch = (): Promise<Response> => {
      asked += 1;
      const [message, code] = asked === 1 ? ["socket hang up", "ECONNRESET"] : ["connect ECONNREFUSED", "ECONNREFUSED"];
      return Promise.reject(new TypeError("fetch failed", { cause: Object.assign(new Error(message), { code }) }));
    };
    const client = openClient({ url: "http://localhost:8787", ...few, fetch });

    const error = await rejectsWith("UNAVAILABLE", () => client.append({ group: "g", id: "a" }, new Uint8Array(1)));

    expect(asked).toBe(2);
    expect(error.message).toBe("nobody answers at http://localhost:8787: connect ECONNREFUSED, any more");
    expect(error.details).toEqual({});
  });
});
