import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** A running HTTP face: `createApp(store).fetch`, a server, a Lambda behind an adapter. */
export interface OpenedHttpApi {
  /** Scheme and authority that requests are made to. */
  readonly origin: string;
  /** The longest payload the store takes, in bytes: small, so that the limits can be met. */
  readonly payloadBytesMax: number;
  /** Bodies are no longer than payloads, also those of batches. */
  readonly boundsBodies?: true;
  /** Does not look at everything that a tenant has: groups and counts are 501. */
  readonly scansNothing?: true;
  /** Groups are listed in no particular order. */
  readonly ordersNothing?: true;
  ask(request: Request): Promise<Response>;
  close(): Promise<void>;
}

interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly retryable: boolean;
  readonly line?: number;
}

/** What docs/http.md promises, asked from outside. Each test has a group of its own, so all share one face. */
export function httpApiSuite(name: string, open: () => Promise<OpenedHttpApi>): void {
  describe(`${name} as the HTTP face`, () => {
    let api: OpenedHttpApi;
    let groups = 0;
    beforeAll(async () => {
      api = await open();
    });
    afterAll(() => api.close());

    const ask = (method: string, path: string, init: RequestInit = {}): Promise<Response> =>
      api.ask(new Request(api.origin + path, { method, ...init }));
    const newGroup = (): string => `/v1/t/groups/g${(groups += 1)}`;
    const put = async (
      path: string,
      body: NonNullable<RequestInit["body"]>,
      headers: Record<string, string> = {},
    ): Promise<void> => {
      const response = await ask("PUT", path, { body, headers });
      expect({ status: response.status, answer: await response.text() }).toMatchObject({ status: 200 });
    };
    const textAt = async (path: string): Promise<string | undefined> => {
      const response = await ask("GET", path);
      const text = await response.text();
      return response.status === 200 ? text : undefined;
    };
    const problemFrom = async (response: Response): Promise<Problem> => {
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      const problem = (await response.json()) as Problem;
      expect(problem.status).toBe(response.status);
      expect(problem.title).not.toBe("");
      expect(problem.type).toBe(`urn:paylode:error:${problem.code}`);
      return problem;
    };
    const ids = async (path: string): Promise<readonly string[]> => {
      const page = (await (await ask("GET", path)).json()) as { payloads: { id: string }[] };
      return page.payloads.map(({ id }) => id);
    };

    describe("PUT and GET of a payload", () => {
      test("give back the same bytes and the same content type", async () => {
        const bytes = new Uint8Array(5000).map((_, i) => (i * 7919) % 256);
        const path = `${newGroup()}/payloads/a`;

        const stored = await ask("PUT", path, { body: bytes, headers: { "content-type": "image/x-Odd; q=1" } });
        const read = await ask("GET", path);

        expect(await stored.json()).toMatchObject({ id: "a", bytes: 5000, location: { version: 0, length: 5000 } });
        expect(stored.status).toBe(200);
        expect(new Uint8Array(await read.arrayBuffer())).toEqual(bytes);
        expect(read.headers.get("content-type")).toBe("image/x-Odd; q=1");
        expect(read.headers.get("content-length")).toBe("5000");
        expect(read.headers.get("accept-ranges")).toBe("bytes");
        expect(read.headers.get("etag")).toMatch(/^"[0-9a-f]{24}"$/);
        expect(read.headers.get("x-content-type-options")).toBe("nosniff");
      });

      test("keep an empty payload, and answer application/octet-stream where no type was given", async () => {
        const path = `${newGroup()}/payloads/empty`;

        await put(path, new Uint8Array(0));
        const read = await ask("GET", path);

        expect(read.status).toBe(200);
        expect((await read.arrayBuffer()).byteLength).toBe(0);
        expect(read.headers.get("content-type")).toBe("application/octet-stream");
      });

      test("overwrite", async () => {
        const path = `${newGroup()}/payloads/a`;

        await put(path, "one");
        await put(path, "two");

        expect(await textAt(path)).toBe("two");
      });

      test.each(["none", "lz4", "zstd"])("take the codec %s", async (codec) => {
        const path = `${newGroup()}/payloads/a`;

        await put(`${path}?codec=${codec}`, "x".repeat(3000));

        expect(await textAt(path)).toBe("x".repeat(3000));
      });

      test.each([
        ["a codec that is none", "?codec=gzip", {}],
        ["a condition other than *", "", { "if-none-match": '"abc"' }],
        ["If-Match, which it would ignore", "", { "if-match": '"abc"' }],
        ["Content-Range, which it would ignore", "", { "content-range": "bytes 0-1/9" }],
        ["an encoded body", "", { "content-encoding": "gzip" }],
        ["a content type that is too long", "", { "content-type": `text/${"x".repeat(300)}` }],
      ])("PUT refuses %s, and stores nothing", async (_what, query, headers) => {
        const path = `${newGroup()}/payloads/a`;

        const problem = await problemFrom(await ask("PUT", path + query, { body: "x", headers }));

        expect(problem).toMatchObject({ status: 400, code: "INVALID", retryable: false });
        expect(await textAt(path)).toBeUndefined();
      });

      test("GET of something unknown is a problem document", async () => {
        const problem = await problemFrom(await ask("GET", `${newGroup()}/payloads/none`));

        expect(problem).toMatchObject({ status: 404, code: "NOT_FOUND", retryable: false });
      });

      test("a body that is announced as too long is refused", async () => {
        const path = `${newGroup()}/payloads/a`;
        const body = new Uint8Array(api.payloadBytesMax + 1);

        const headers = { "content-length": String(body.length) };
        const problem = await problemFrom(await ask("PUT", path, { body, headers }));

        expect(problem).toMatchObject({ status: 413, code: "TOO_LARGE", bytesMax: api.payloadBytesMax });
        expect(await textAt(path)).toBeUndefined();
      });

      test("a body of unknown length is refused at the byte that is too many", async () => {
        const path = `${newGroup()}/payloads/a`;
        let pieces = 0;
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            controller.enqueue(new Uint8Array(16 * 1024));
            if ((pieces += 1) * 16 * 1024 > api.payloadBytesMax + 64 * 1024) controller.close();
          },
        });

        const problem = await problemFrom(await ask("PUT", path, { body, duplex: "half" }));

        expect(problem).toMatchObject({ status: 413, code: "TOO_LARGE" });
        expect(await textAt(path)).toBeUndefined();
      });

      test("a body of exactly the longest length is stored", async () => {
        const path = `${newGroup()}/payloads/a`;

        await put(path, new Uint8Array(api.payloadBytesMax));

        const read = await ask("HEAD", path);
        expect(read.headers.get("content-length")).toBe(String(api.payloadBytesMax));
      });
    });

    describe("conditions", () => {
      test("If-None-Match: * creates, and answers 412 where there is something", async () => {
        const path = `${newGroup()}/payloads/a`;
        const headers = { "if-none-match": "*" };

        await put(path, "first", headers);
        const problem = await problemFrom(await ask("PUT", path, { body: "second", headers }));

        expect(problem).toMatchObject({ status: 412, code: "EXISTS" });
        expect(await textAt(path)).toBe("first");
      });

      test("of 50 creators at the same time exactly one is told that it was the one", async () => {
        const path = `${newGroup()}/payloads/a`;
        const headers = { "if-none-match": "*" };

        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, i) => ask("PUT", path, { body: `creator ${i}`, headers })),
        );

        const winners = answers.flatMap(({ status }, i) => (status === 200 ? [i] : []));
        expect(winners).toHaveLength(1);
        expect(answers.filter(({ status }) => status === 412)).toHaveLength(49);
        expect(await textAt(path)).toBe(`creator ${winners[0]}`);
      });

      test("a matching etag is answered with 304 and no body, another one with the bytes", async () => {
        const path = `${newGroup()}/payloads/a`;
        await put(path, "text");
        const etag = (await ask("HEAD", path)).headers.get("etag") ?? "";

        for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
          const same = await ask("GET", path, { headers: { "if-none-match": known } });
          expect({ known, status: same.status }).toEqual({ known, status: 304 });
          expect(same.headers.get("etag")).toBe(etag);
          expect(await same.text()).toBe("");
        }
        const other = await ask("GET", path, { headers: { "if-none-match": '"other"' } });

        expect(other.status).toBe(200);
        expect(await other.text()).toBe("text");
      });

      test("the etag is the bytes' own", async () => {
        const group = newGroup();
        await put(`${group}/payloads/a`, "same");
        await put(`${group}/payloads/b`, "same");
        await put(`${group}/payloads/c`, "other");

        const etags = await Promise.all(
          ["a", "b", "c"].map(async (id) => (await ask("HEAD", `${group}/payloads/${id}`)).headers.get("etag")),
        );

        expect(etags[0]).toBe(etags[1]);
        expect(etags[0]).not.toBe(etags[2]);
      });
    });

    describe("Idempotency-Key", () => {
      const headers = { "idempotency-key": "request-1" };

      test("answers a repeated PUT as the first time, and stores nothing again", async () => {
        const path = `${newGroup()}/payloads/a`;

        const first = await ask("PUT", path, { body: "one", headers });
        await put(path, "two");
        const again = await ask("PUT", path, { body: "one", headers });

        expect(again.status).toBe(200);
        expect(await again.json()).toEqual(await first.json());
        expect(await textAt(path)).toBe("two");
      });

      test("answers 409 to another request with the same key", async () => {
        const path = `${newGroup()}/payloads/a`;
        await put(path, "one", headers);

        const problem = await problemFrom(await ask("PUT", path, { body: "other", headers }));

        expect(problem).toMatchObject({ status: 409, code: "KEY_REUSED" });
        expect(await textAt(path)).toBe("one");
      });

      test("belongs to each group of a batch", async () => {
        const [a, b] = [newGroup(), newGroup()];
        const lines = (group: string): string => `{"group":"${group.split("/").at(-1)}","id":"x","text":"one"}`;
        const post = (body: string): Promise<Response> => ask("POST", "/v1/t/payloads", { body, headers });

        expect((await post(lines(a))).status).toBe(200);
        await put(`${a}/payloads/x`, "two");
        expect((await post(`${lines(a)}\n${lines(b)}`)).status).toBe(200);

        expect(await textAt(`${a}/payloads/x`)).toBe("two");
        expect(await textAt(`${b}/payloads/x`)).toBe("one");
        const single = await ask("POST", `${b}/payloads`, { body: '{"id":"y","text":"z"}', headers });
        expect(await problemFrom(single)).toMatchObject({ code: "KEY_REUSED" });
      });
    });

    describe("HEAD", () => {
      test("answers like GET, without a body", async () => {
        const path = `${newGroup()}/payloads/a`;
        await put(path, "hello", { "content-type": "text/plain" });

        const head = await ask("HEAD", path, { headers: { range: "bytes=0-1" } });
        const get = await ask("GET", path);

        expect(head.status).toBe(200);
        expect(await head.text()).toBe("");
        const described = ({ headers }: Response): unknown =>
          ["content-length", "content-type", "etag", "last-modified", "accept-ranges"].map((name) => headers.get(name));
        expect(described(head)).toEqual(described(get));
        expect(head.headers.get("content-length")).toBe("5");
      });

      test("of something unknown is 404 without a body", async () => {
        const head = await ask("HEAD", `${newGroup()}/payloads/none`);

        expect(head.status).toBe(404);
        expect(await head.text()).toBe("");
      });
    });

    describe("Range", () => {
      const text = "0123456789";

      test.each([
        ["bytes=0-0", "0", "bytes 0-0/10"],
        ["bytes=2-5", "2345", "bytes 2-5/10"],
        ["bytes=7-", "789", "bytes 7-9/10"],
        ["bytes=9-9", "9", "bytes 9-9/10"],
        ["bytes=5-1000", "56789", "bytes 5-9/10"],
        ["bytes=5-99999999999999999999999", "56789", "bytes 5-9/10"],
        ["bytes=-3", "789", "bytes 7-9/10"],
        ["bytes=-1000", text, "bytes 0-9/10"],
        ["bytes=0-", text, "bytes 0-9/10"],
        ["Bytes=0-1", "01", "bytes 0-1/10"],
      ])("%s is %j", async (range, part, contentRange) => {
        const path = `${newGroup()}/payloads/a`;
        await put(path, text);

        const response = await ask("GET", path, { headers: { range } });

        expect(response.status).toBe(206);
        expect(response.headers.get("content-range")).toBe(contentRange);
        expect(response.headers.get("content-length")).toBe(String(part.length));
        expect(await response.text()).toBe(part);
      });

      test.each(["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"])(
        "%s cannot be satisfied",
        async (range) => {
          const path = `${newGroup()}/payloads/a`;
          await put(path, text);

          const response = await ask("GET", path, { headers: { range } });

          expect(response.headers.get("content-range")).toBe("bytes */10");
          expect(await problemFrom(response)).toMatchObject({ status: 416 });
        },
      );

      test.each(["bytes=5-2", "bytes=a-b", "bytes=", "bytes=-", "bytes=0-1,4-5", "items=0-1", "bytes=1.5-2", "0-1"])(
        "%s is answered with the whole",
        async (range) => {
          const path = `${newGroup()}/payloads/a`;
          await put(path, text);

          const response = await ask("GET", path, { headers: { range } });

          expect(response.status).toBe(200);
          expect(response.headers.get("content-range")).toBeNull();
          expect(await response.text()).toBe(text);
        },
      );

      test("of an empty payload is unsatisfiable from the front, and nothing from the back", async () => {
        const path = `${newGroup()}/payloads/a`;
        await put(path, new Uint8Array(0));

        expect((await ask("GET", path, { headers: { range: "bytes=0-" } })).status).toBe(416);
        expect((await ask("GET", path, { headers: { range: "bytes=-5" } })).status).toBe(200);
      });

      test("is served for the version named in If-Range, else the whole is", async () => {
        const path = `${newGroup()}/payloads/a`;
        await put(path, text);
        const head = await ask("HEAD", path);
        const etag = head.headers.get("etag") ?? "";

        const statusFor = async (ifRange: string): Promise<number> =>
          (await ask("GET", path, { headers: { range: "bytes=0-1", "if-range": ifRange } })).status;

        expect(await statusFor(etag)).toBe(206);
        expect(await statusFor('"other"')).toBe(200);
        expect(await statusFor(`W/${etag}`)).toBe(200);
        expect(await statusFor(head.headers.get("last-modified") ?? "")).toBe(200);
      });
    });

    describe("DELETE", () => {
      test("of a payload is 204 once, and 404 from then on", async () => {
        const path = `${newGroup()}/payloads/a`;
        await put(path, "x");

        const first = await ask("DELETE", path);
        const second = await ask("DELETE", path);

        expect(first.status).toBe(204);
        expect(await textAt(path)).toBeUndefined();
        expect(await problemFrom(second)).toMatchObject({ status: 404, code: "NOT_FOUND" });
      });

      test("of a group says how many payloads there were, and is 404 when there was none", async () => {
        const group = newGroup();
        await put(`${group}/payloads/a`, "x");
        await put(`${group}/payloads/b`, "y");

        const first = await ask("DELETE", group);
        const second = await ask("DELETE", group);

        expect(first.status).toBe(200);
        expect(await first.json()).toEqual({ payloads: 2 });
        expect(await textAt(`${group}/payloads/a`)).toBeUndefined();
        expect(await problemFrom(second)).toMatchObject({ status: 404 });
      });

      test("with an Idempotency-Key deletes nothing that was stored since", async () => {
        const group = newGroup();
        const path = `${group}/payloads/a`;
        const [one, all] = [{ "idempotency-key": "one" }, { "idempotency-key": "all" }];

        await put(path, "first");
        expect((await ask("DELETE", path, { headers: one })).status).toBe(204);
        await put(path, "second");
        expect((await ask("DELETE", path, { headers: one })).status).toBe(204);
        expect(await textAt(path)).toBe("second");

        expect((await ask("DELETE", group, { headers: all })).status).toBe(200);
        await put(path, "third");
        expect((await ask("DELETE", group, { headers: all })).status).toBe(404);
        expect(await textAt(path)).toBe("third");
        const reused = await problemFrom(await ask("DELETE", path, { headers: all }));
        expect(reused).toMatchObject({ status: 409, code: "KEY_REUSED" });
      });
    });

    describe("GET of payloads with attributes", () => {
      interface Found {
        readonly payloads: readonly { readonly group: string; readonly id: string }[];
        readonly next?: string;
      }
      const putWith = (path: string, attributes: Readonly<Record<string, string>>) =>
        put(path, "x", { "paylode-attributes": new URLSearchParams(attributes).toString() });
      const find = async (query: string, tenant = "t"): Promise<Found> => {
        const response = await ask("GET", `/v1/${tenant}/payloads?${query}`);
        expect({ status: response.status }).toEqual({ status: 200 });
        return (await response.json()) as Found;
      };
      const found = async (query: string): Promise<string[]> =>
        (await find(query)).payloads.map(({ id }) => id).toSorted();

      test("answers what has them all, in whatever group, as a list does", async () => {
        const [one, two] = [newGroup(), newGroup()];
        await putWith(`${one}/payloads/a`, { user: "find-1", model: "m1", step: "1" });
        await putWith(`${one}/payloads/b`, { user: "find-1", model: "m2" });
        await putWith(`${two}/payloads/c`, { user: "find-1", model: "m1" });
        await putWith(`${two}/payloads/d`, { user: "find-2", model: "m1" });
        const listed = (await (await ask("GET", `${two}/payloads`)).json()) as { payloads: readonly object[] };
        const [entry] = listed.payloads;

        expect(await found("where=user:find-1")).toEqual(["a", "b", "c"]);
        expect(await found("where=user:find-1&where=model:m1")).toEqual(["a", "c"]);
        expect(await found("where=step:1&where=user:find-1")).toEqual(["a"]);
        expect(await find("where=user:find-3")).toEqual({ payloads: [] });
        expect(await find("where=user:find-1", "t-2")).toEqual({ payloads: [] });
        const { payloads } = await find("where=user:find-1");
        expect(payloads.find(({ id }) => id === "c")).toEqual({ group: two.split("/").at(-1), ...entry });

        expect((await ask("DELETE", `${one}/payloads/a`)).status).toBe(204);
        await putWith(`${one}/payloads/b`, { user: "find-2" });
        expect(await found("where=user:find-1")).toEqual(["c"]);
      });

      test("goes page by page", async () => {
        const group = newGroup();
        for (let i = 0; i < 7; i++) await putWith(`${group}/payloads/${i}`, { user: "pages" });

        const pages: string[][] = [];
        for (let after = ""; ;) {
          const { payloads, next } = await find(`where=user:pages&limit=3${after}`);
          pages.push(payloads.map(({ id }) => id));
          if (next === undefined) break;
          after = `&after=${encodeURIComponent(next)}`;
        }

        expect(pages.map(({ length }) => length)).toEqual([3, 3, 1]);
        expect(new Set(pages.flat()).size).toBe(7);
      });

      test.each([
        ["a colon in the value", "user", "a:b:c", "where=user:a:b:c"],
        ["a value without letters", "user", "", "where=user:"],
        [
          "all that a query could mean otherwise",
          "user",
          "a&b=c%20+d #é",
          `where=user:${encodeURIComponent("a&b=c%20+d #é")}`,
        ],
        ["a plus that is a space", "user", "a b", "where=user:a+b"],
        ["a colon that is encoded", "user", "enc", "where=user%3Aenc"],
        ["a colon in the name", "a:b%", "named", "where=user:names&where=a%253Ab%2525:named"],
      ])("takes %s", async (_what, name, value, query) => {
        const path = `${newGroup()}/payloads/${encodeURIComponent(query)}`;
        await putWith(path, { user: "names", [name]: value });

        expect(await found(query)).toEqual([query]);
      });

      test.each([
        "",
        "where=",
        "where=user",
        "where=:u1",
        "where",
        "where=user:%zz",
        "where=user:%ff",
        "where=a%25zz:b",
        "where=user:a&where=user:b",
        "where=user:a&limit=0",
        "where=user:a&limit=1001",
        "where=user:a&limit=x",
        "where=user:a&after=x",
        "where=user:a&after=",
        `where=user:${"x".repeat(4093)}`,
        Array.from({ length: 33 }, (_, i) => `where=n${i}:v`).join("&"),
      ])("refuses ?%s", async (query) => {
        expect(await problemFrom(await ask("GET", `/v1/t/payloads?${query}`))).toMatchObject({
          status: 400,
          code: "INVALID",
        });
      });
    });

    describe("names in the path", () => {
      test.each([
        ["a slash", "a/b"],
        ["a percent sign that looks like an encoding", "a%2Fb"],
        ["the same, twice", "%252F"],
        ["NUL", "a\0b"],
        ["512 bytes", "x".repeat(512)],
        ["512 bytes of four-byte characters", "🦀".repeat(128)],
        ["an emoji with a joiner", "👩‍🚀"],
        ["a name of Object.prototype", "__proto__"],
        ["another one", "constructor"],
        ["three dots", "..."],
        ["a question mark and a hash", "a?b#c"],
        ["spaces and a plus", " a+b "],
        ["a backslash", "a\\b"],
        ["a newline", "a\nb"],
        ["a colon, a star, braces", ":id*{x}"],
      ])("%s is one name, as id and as group", async (_what, wanted) => {
        const group = newGroup();
        const encoded = encodeURIComponent(wanted);
        const own = `/v1/t/groups/${encoded}`;

        await put(`${group}/payloads/${encoded}`, "by id");
        await put(`${own}/payloads/x`, "by group");

        expect(await textAt(`${group}/payloads/${encoded}`)).toBe("by id");
        expect(await ids(`${group}/payloads`)).toEqual([wanted]);
        expect(await textAt(`${own}/payloads/x`)).toBe("by group");
        expect((await ask("DELETE", own)).status).toBe(200);
      });

      test("a name that was encoded twice is another name", async () => {
        const group = newGroup();
        await put(`${group}/payloads/a%2Fb`, "slash");

        expect(await textAt(`${group}/payloads/a%252Fb`)).toBeUndefined();
        expect(await textAt(`${group}/payloads/a/b`)).toBeUndefined();
      });

      test.each([
        "/payloads/%ff",
        "/payloads/%zz",
        "/payloads/%",
        "/payloads/a%2",
        "/payloads/%c0%80",
        "/payloads/%ed%a0%80",
        "/payloads/a/",
        "/payloads/",
        "//payloads/a",
        `/payloads/${"x".repeat(513)}`,
      ])("%s is refused", async (tail) => {
        const problem = await problemFrom(await ask("GET", `${newGroup()}${tail}`));

        expect(problem).toMatchObject({ status: 400, code: "INVALID" });
      });

      test.each(["T", "a_b", "-a", "%2e%2e%2f", "x".repeat(64)])("the tenant %s is refused", async (tenant) => {
        const problem = await problemFrom(await ask("PUT", `/v1/${tenant}/groups/g/payloads/a`, { body: "x" }));

        expect(problem).toMatchObject({ status: 400, code: "INVALID" });
      });
    });

    describe("routing", () => {
      test.each(["/", "/v2/t/groups/g/payloads/a", "/v1/t", "/v1/t/groups/g/payloads/a/b", "/healthz/x"])(
        "%s is no route",
        async (path) => {
          expect(await problemFrom(await ask("GET", path))).toMatchObject({ status: 404, code: "NOT_FOUND" });
        },
      );

      test.each([
        ["POST", "/v1/t/groups/g/payloads/a", "GET, HEAD, PUT, DELETE"],
        ["PATCH", "/v1/t/groups/g/payloads", "GET, HEAD, POST"],
        ["GET", "/v1/t/groups/g", "DELETE"],
        ["DELETE", "/v1/t/groups", "GET, HEAD"],
        ["PUT", "/v1/t/payloads", "GET, HEAD, POST"],
        ["OPTIONS", "/healthz", "GET, HEAD"],
      ])("%s %s is 405 and says what is possible", async (method, path, allow) => {
        const response = await ask(method, path);

        expect(response.headers.get("allow")).toBe(allow);
        expect(await problemFrom(response)).toMatchObject({ status: 405 });
      });
    });

    describe("the list of a group", () => {
      test("is in commit order and says what is known of each payload", async () => {
        const group = newGroup();
        await put(`${group}/payloads/b`, "one", { "content-type": "text/plain" });
        await put(`${group}/payloads/a`, new Uint8Array(7));

        const response = await ask("GET", `${group}/payloads`);
        const { payloads, next } = (await response.json()) as { payloads: Record<string, unknown>[]; next?: string };

        expect(payloads).toMatchObject([
          { id: "b", bytes: 3, contentType: "text/plain" },
          { id: "a", bytes: 7 },
        ]);
        expect(payloads[1]).not.toHaveProperty("contentType");
        expect(payloads[0]?.["etag"]).toMatch(/^[0-9a-f]{24}$/);
        expect(payloads[0]?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
        expect(next).toBeUndefined();
      });

      test("of a group that is not there is empty", async () => {
        expect(await (await ask("GET", `${newGroup()}/payloads`)).json()).toEqual({ payloads: [] });
      });

      test("comes in pages that together are the whole", async () => {
        const group = newGroup();
        const lines = Array.from({ length: 25 }, (_, i) => `{"id":"p${i}","text":"${i}"}\n`);
        expect((await ask("POST", `${group}/payloads`, { body: lines.join("") })).status).toBe(200);

        const seen: string[] = [];
        let pages = 0;
        for (let query = "?limit=10"; query !== ""; pages += 1) {
          const page = (await (await ask("GET", `${group}/payloads${query}`)).json()) as {
            payloads: { id: string }[];
            next?: string;
          };
          seen.push(...page.payloads.map(({ id }) => id));
          query = page.next === undefined ? "" : `?limit=10&after=${encodeURIComponent(page.next)}`;
        }

        expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `p${i}`));
        expect(pages).toBe(3);
      });

      test("ends without a cursor when the last page is full", async () => {
        const group = newGroup();
        await put(`${group}/payloads/a`, "x");
        await put(`${group}/payloads/b`, "x");

        expect(await (await ask("GET", `${group}/payloads?limit=2`)).json()).not.toHaveProperty("next");
      });

      test.each(["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1.5", "include=all", "after=%20x"])(
        "refuses ?%s",
        async (query) => {
          const group = newGroup();
          await put(`${group}/payloads/a`, "x");

          const problem = await problemFrom(await ask("GET", `${group}/payloads?${query}`));

          expect(problem).toMatchObject({ status: 400, code: "INVALID" });
        },
      );
    });

    describe("the export of a group", () => {
      test("is lines that store the same again: text where it is text, else base64", async () => {
        const group = newGroup();
        const binary = new Uint8Array([0xff, 0xfe, 0, 1]);
        await put(`${group}/payloads/text`, 'a "quoted" line\n\ufeff', { "content-type": "text/plain" });
        await put(`${group}/payloads/untyped`, new TextEncoder().encode("\ufeffbom"));
        await put(`${group}/payloads/bytes`, binary);
        const attributed = { id: "attributed", json: { a: [1] }, attributes: { constructor: "c", kind: "k" } };
        await ask("POST", `${group}/payloads`, { body: JSON.stringify(attributed) });

        const response = await ask("GET", `${group}/payloads?include=data`);
        const exported = await response.text();
        const lines = exported.trimEnd().split("\n");

        expect(response.headers.get("content-type")).toBe("application/x-ndjson");
        const name = group.split("/").at(-1);
        expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
          { group: name, id: "text", text: 'a "quoted" line\n\ufeff', contentType: "text/plain" },
          { group: name, id: "untyped", text: "\ufeffbom", contentType: null },
          { group: name, id: "bytes", base64: Buffer.from(binary).toString("base64") },
          {
            group: name,
            id: "attributed",
            text: '{"a":[1]}',
            contentType: "application/json",
            attributes: { constructor: "c", kind: "k" },
          },
        ]);
        const again = await ask("POST", "/v1/other/payloads", { body: exported });
        expect(again.status).toBe(200);
        expect(await (await ask("GET", `/v1/other/groups/${name}/payloads?include=data`)).text()).toBe(exported);
      });

      test("of a long group comes whole", async () => {
        const group = newGroup();
        const lines = Array.from({ length: 500 }, (_, i) => `{"id":"p${i}","text":"${"x".repeat(1000)}${i}"}`);
        await ask("POST", `${group}/payloads`, { body: lines.join("\n") });

        const exported = await (await ask("GET", `${group}/payloads?include=data`)).text();

        expect(exported.split("\n")).toHaveLength(501);
        expect((await ask("HEAD", `${group}/payloads?include=data`)).status).toBe(200);
      });
    });

    describe("a batch for one group", () => {
      test("stores text, JSON and bytes in one commit", async () => {
        const group = newGroup();
        const body = [
          '{"id":"text","text":"héllo"}',
          '{"id":"payload","payload":"same as text"}',
          "\r",
          '{"id":"json","json":{"n":12345678901234567890,"e":1e400,"s":"\\ud83e\\udd80","nested":[null,1.5]}}\r',
          '{"id":"null","json":null}',
          '{"id":"bytes","base64":"AAEC/w=="}',
          '{"id":"typed","text":"x","contentType":"text/markdown","attributes":{"__proto__":"p","kind":"k"}}',
          '{"id":"__proto__","text":"","contentType":null}',
        ].join("\n");

        const response = await ask("POST", `${group}/payloads`, { body });
        const { payloads } = (await response.json()) as { payloads: { id: string; location: object }[] };

        expect(response.status).toBe(200);
        expect(payloads.map(({ id }) => id)).toEqual([
          "text",
          "payload",
          "json",
          "null",
          "bytes",
          "typed",
          "__proto__",
        ]);
        expect(payloads[0]?.location).toMatchObject({ version: 0 });
        expect(await textAt(`${group}/payloads/text`)).toBe("héllo");
        expect(await textAt(`${group}/payloads/payload`)).toBe("same as text");
        const jsonText = '{"n":12345678901234567890,"e":1e400,"s":"🦀","nested":[null,1.5]}';
        expect(await textAt(`${group}/payloads/json`)).toBe(jsonText);
        expect(await textAt(`${group}/payloads/null`)).toBe("null");
        const bytes = await ask("GET", `${group}/payloads/bytes`);
        expect(new Uint8Array(await bytes.arrayBuffer())).toEqual(new Uint8Array([0, 1, 2, 255]));
        const list = (await (await ask("GET", `${group}/payloads`)).json()) as { payloads: Record<string, unknown>[] };
        expect(list.payloads.map(({ contentType }) => contentType)).toEqual([
          "text/plain; charset=utf-8",
          "text/plain; charset=utf-8",
          "application/json",
          "application/json",
          undefined,
          "text/markdown",
          undefined,
        ]);
        expect(Object.entries(list.payloads[5]?.["attributes"] ?? {})).toEqual([
          ["__proto__", "p"],
          ["kind", "k"],
        ]);
      });

      const good = '{"id":"good","text":"x"}';
      const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
      test.each<[what: string, line: string | Uint8Array<ArrayBuffer>]>([
        ["no JSON", "{"],
        ["a JSON string", '"x"'],
        ["an array", "[]"],
        ["null", "null"],
        ["a number no double holds", "12345678901234567890"],
        ["no id", '{"text":"x"}'],
        ["an empty id", '{"id":"","text":"x"}'],
        ["an id of dots", '{"id":"..","text":"x"}'],
        ["an id that is a number", '{"id":1,"text":"x"}'],
        ["an id of 513 bytes", `{"id":"${"x".repeat(513)}","text":"x"}`],
        ["no content", '{"id":"a"}'],
        ["two contents", '{"id":"a","text":"x","json":1}'],
        ["text and payload", '{"id":"a","text":"x","payload":"x"}'],
        ["text that is null", '{"id":"a","text":null}'],
        ["text that is a number", '{"id":"a","text":1}'],
        ["a lone surrogate in the text", '{"id":"a","text":"\\ud800"}'],
        ["a lone surrogate in the id", '{"id":"\\udc00","text":"x"}'],
        ["base64 without its padding", '{"id":"a","base64":"AAE"}'],
        ["base64url", '{"id":"a","base64":"_-8="}'],
        ["base64 with a space", '{"id":"a","base64":"AA EC"}'],
        ["base64 with bits left over", '{"id":"a","base64":"AAF="}'],
        ["base64 that is a number", '{"id":"a","base64":1}'],
        ["a group, which the path names", '{"id":"a","text":"x","group":"g"}'],
        ["an unknown member", '{"id":"a","text":"x","ttl":1}'],
        ["a member of Object.prototype", '{"id":"a","text":"x","constructor":1}'],
        ["__proto__ as a member", '{"id":"a","text":"x","__proto__":{"y":1}}'],
        ["a content type of two lines", '{"id":"a","text":"x","contentType":"a\\nb"}'],
        ["an empty content type", '{"id":"a","text":"x","contentType":""}'],
        ["attributes that are a list", '{"id":"a","text":"x","attributes":["y"]}'],
        ["an attribute that is a number", '{"id":"a","text":"x","attributes":{"y":1}}'],
        [
          "too many attributes",
          JSON.stringify({
            id: "a",
            text: "x",
            attributes: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [i, "v"])),
          }),
        ],
        ["attributes that are too long", JSON.stringify({ id: "a", text: "x", attributes: { n: "v".repeat(5000) } })],
        ["the id of the line before", good],
        ["JSON that is nested too deeply to be written", `{"id":"a","json":${deep}}`],
        ["bytes that are not UTF-8", new Uint8Array([0x7b, 0xff, 0x7d])],
        ["a BOM in the middle", '\ufeff{"id":"a","text":"x"}'],
      ])("with %s is refused, names the line, and stores nothing", async (_what, line) => {
        const group = newGroup();
        const bytes = typeof line === "string" ? new TextEncoder().encode(line) : line;
        const body = new Blob([`${good}\n\n`, bytes, '\n{"id":"after","text":"x"}']);

        const problem = await problemFrom(await ask("POST", `${group}/payloads`, { body: await body.arrayBuffer() }));

        expect(problem).toMatchObject({ status: 400, code: "INVALID", line: 3 });
        expect(problem.detail).toMatch(/^line 3: /);
        expect(await ids(`${group}/payloads`)).toEqual([]);
      });

      test.each(["", "\n", " \r\n\n"])("that is empty (%j) is refused", async (body) => {
        const problem = await problemFrom(await ask("POST", `${newGroup()}/payloads`, { body }));

        expect(problem).toMatchObject({ status: 400, code: "INVALID" });
      });

      test("with a payload over the limit is refused with its line", async () => {
        const group = newGroup();
        const body = `${good}\n{"id":"a","text":"${"x".repeat(api.payloadBytesMax + 1)}"}`;

        const problem = await problemFrom(await ask("POST", `${group}/payloads`, { body }));

        const line = api.boundsBodies ? {} : { line: 2 };
        expect(problem).toMatchObject({ status: 413, code: "TOO_LARGE", ...line });
        expect(await ids(`${group}/payloads`)).toEqual([]);
      });
    });

    describe("a batch over many groups", () => {
      test("stores each line in its group, in the order of the lines", async () => {
        const [a, b] = [newGroup(), newGroup()].map((group) => group.split("/").at(-1));
        const lines = [
          { group: a, id: "1", text: "a1" },
          { group: b, id: "1", text: "b1" },
          { group: a, id: "2", json: ["a2"] },
        ];

        const response = await ask("POST", "/v1/t/payloads", {
          body: lines.map((line) => JSON.stringify(line)).join("\n"),
        });
        const { payloads } = (await response.json()) as { payloads: { group: string; id: string; location: object }[] };

        expect(response.status).toBe(200);
        expect(payloads.map(({ group, id }) => [group, id])).toEqual(lines.map(({ group, id }) => [group, id]));
        expect(payloads[2]?.location).toMatchObject({ version: 0 });
        expect(await ids(`/v1/t/groups/${a}/payloads`)).toEqual(["1", "2"]);
        expect(await textAt(`/v1/t/groups/${b}/payloads/1`)).toBe("b1");
      });

      test.each(['{"id":"x","text":"no group"}', '{"group":"..","id":"x","text":""}', '{"group":"g","id":"x"}'])(
        "with the bad line %s is refused whole",
        async (bad) => {
          const name = newGroup().split("/").at(-1);
          const body = `{"group":"${name}","id":"a","text":"x"}\n${bad}\n`;

          const problem = await problemFrom(await ask("POST", "/v1/t/payloads", { body }));

          expect(problem).toMatchObject({ status: 400, code: "INVALID", line: 2 });
          expect(await ids(`/v1/t/groups/${name}/payloads`)).toEqual([]);
        },
      );
    });

    describe("tenants", () => {
      test("never see one another", async () => {
        const name = newGroup().split("/").at(-1);
        const path = (tenant: string): string => `/v1/${tenant}/groups/${name}/payloads`;
        await put(`${path("tenant-a")}/x`, "of a");
        await put(`${path("tenant-b")}/x`, "of b, longer");
        await put(`${path("tenant-b")}/y`, "only b");

        expect(await textAt(`${path("tenant-a")}/x`)).toBe("of a");
        expect(await textAt(`${path("tenant-a")}/y`)).toBeUndefined();
        expect(await ids(path("tenant-a"))).toEqual(["x"]);
        const counted = api.scansNothing ? { code: "UNSUPPORTED" } : { payloads: 1, uncompressedBytes: 4 };
        expect(await (await ask("GET", "/v1/tenant-a/stats")).json()).toMatchObject(counted);
        expect((await ask("DELETE", `/v1/tenant-a/groups/${name}`)).status).toBe(200);
        expect(await textAt(`${path("tenant-b")}/x`)).toBe("of b, longer");
        expect(await ids(path("tenant-c"))).toEqual([]);
      });

      test("list their groups with the number of payloads, one a line", async () => {
        await put("/v1/lister/groups/a%2Fb/payloads/1", "x");
        await put("/v1/lister/groups/a%2Fb/payloads/2", "x");
        await put("/v1/lister/groups/c/payloads/1", "x");

        const response = await ask("GET", "/v1/lister/groups");
        if (api.scansNothing) {
          const problem = await problemFrom(response);
          expect(problem).toMatchObject({ status: 501, code: "UNSUPPORTED", retryable: false });
          expect(problem.detail).toContain("paylode/aws");
          return;
        }
        const lines = (await response.text()).trimEnd().split("\n");
        if (api.ordersNothing) lines.sort();

        expect(response.headers.get("content-type")).toBe("application/x-ndjson");
        expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
          { group: "a/b", payloads: 2 },
          { group: "c", payloads: 1 },
        ]);
        expect(await (await ask("GET", "/v1/nobody/groups")).text()).toBe("");
      });
    });

    test("the health route says that the store takes writes", async () => {
      const response = await ask("GET", "/healthz");

      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ status: "ok" });
    });
  });
}
