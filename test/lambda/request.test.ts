import { describe, expect, test } from "vitest";
import { isPayloadStoreError } from "../../core/errors.ts";
import { httpLimits } from "../../functions/http-limits.ts";
import { requestOf } from "../../functions/lambda-request.ts";
import type { FunctionUrlEvent } from "../../functions/lambda-runtime.ts";
import { rawPath } from "../../functions/request-path.ts";
import { eventOf } from "../support/lambda/function-url.ts";

const text = new TextEncoder();

describe("an event of a function URL", () => {
  test("is the request that it stands for", async () => {
    const body = text.encode("{}\n");
    const headers = { "content-type": "application/x-ndjson", "if-none-match": '"a", "b"' };
    const cookies = ["a=1", "b=2"];

    const request = requestOf(eventOf({ method: "POST", target: "/v1/t/payloads?x=1&x=2", headers, cookies, body }));

    expect(request.method).toBe("POST");
    expect(request.url).toMatch(/^https:\/\/[a-z0-9]+\.lambda-url\.us-east-1\.on\.aws\/v1\/t\/payloads\?x=1&x=2$/);
    expect(request.headers.get("if-none-match")).toBe('"a", "b"');
    expect(request.headers.get("cookie")).toBe("a=1; b=2");
    expect(request.headers.get("content-length")).toBe("3");
    expect(new Uint8Array(await request.arrayBuffer())).toEqual(body);
  });

  test("without a body has an empty one where one is sent, and none where none is", async () => {
    const event = (method: string): FunctionUrlEvent => eventOf({ method, target: "/" });

    expect((await requestOf(event("PUT")).arrayBuffer()).byteLength).toBe(0);
    expect(requestOf(event("PUT")).body).not.toBeNull();
    expect(requestOf(event("GET")).body).toBeNull();
    expect(requestOf({ ...event("GET"), body: "eA==", isBase64Encoded: true }).body).toBeNull();
  });

  test.each(["/a%2Fb", "/a%252Fb", "/%00", "/a+b", "/a:b*{c}", "/...", "/%C3%A9"])(
    "keeps the path %s as it came",
    (path) => {
      const [wanted, got] = [path, rawPath(requestOf(eventOf({ method: "GET", target: path })).url)];

      // A URL parser encodes what it would rather see encoded, which is the same name.
      expect(decodeURIComponent(got)).toBe(decodeURIComponent(wanted));
      expect(got.replaceAll(/%7[BD]/gi, "").length).toBe(wanted.replaceAll(/[{}]/g, "").length);
    },
  );

  test.each([
    ["one that a parser would resolve", "/v1/t/groups/g/.."],
    ["the same, encoded", "/v1/t/groups/g/%2E%2e"],
    ["the same with one dot", "/v1/./t"],
    ["an encoding of nothing", "/%zz"],
    ["an encoding of no UTF-8", "/%c0%80"],
    ["an empty segment, which could be a host", "//elsewhere/v1"],
    ["what was decoded before", "/é"],
    ["a space", "/a b"],
    ["NUL", "/a\0b"],
    ["a question mark that was decoded", "/a?b"],
    ["a hash", "/a#b"],
    ["a backslash", "/a\\b"],
    ["no slash", "https://elsewhere/v1"],
    ["nothing", ""],
  ])("is refused for a path with %s", (_what, path) => {
    expect(refusedCode({ ...eventOf({ method: "GET", target: "/" }), rawPath: path })).toBe("INVALID");
  });

  test("may have lost the encoding of its query", () => {
    const event = { ...eventOf({ method: "GET", target: "/" }), rawQueryString: "a=b c&d=é%20\ud800&e" };

    const { searchParams } = new URL(requestOf(event).url);

    expect([...searchParams]).toEqual([
      ["a", "b c"],
      ["d", "é \ufffd"],
      ["e", ""],
    ]);
  });

  test.each([
    ["a line break", { "x-a": "b\nc" }],
    ["a character beyond Latin-1", { "x-a": "→" }],
    ["a name that is none", { "x a": "b" }],
  ])("is refused for a header with %s", (_what, headers) => {
    expect(refusedCode(eventOf({ method: "GET", target: "/", headers }))).toBe("INVALID");
  });

  test("is refused for a method that no server is asked for", () => {
    expect(refusedCode(eventOf({ method: "TRACE", target: "/" }))).toBe("INVALID");
  });

  test.each([
    ["base64", "application/octet-stream"],
    ["text", "text/plain"],
  ])("may have a body of the bound in %s, and no byte more", (_what, type) => {
    const event = (bytes: number): FunctionUrlEvent =>
      eventOf({ method: "PUT", target: "/", headers: { "content-type": type }, body: new Uint8Array(bytes) });

    expect(() => requestOf(event(httpLimits.lambdaBodyBytesMax))).not.toThrow();
    expect(refusedCode(event(httpLimits.lambdaBodyBytesMax + 1))).toBe("TOO_LARGE");
  });
});

function refusedCode(event: FunctionUrlEvent): string | undefined {
  try {
    requestOf(event);
  } catch (error) {
    if (isPayloadStoreError(error)) return error.code;
    throw error;
  }
  return undefined;
}
