import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { PayloadStoreError } from "../../core/errors.ts";
import { emfLine, type RequestMetrics } from "../../functions/emf.ts";
import { faultOf } from "../../functions/lambda-log.ts";

const request: RequestMetrics = {
  requestId: "7f0c",
  method: "PUT",
  route: "/v1/:tenant/groups/:group/payloads/:id",
  status: 200,
  broken: false,
  coldStart: true,
  latencyMs: 12.3456,
  requestBytes: 3,
  responseBytes: 200,
  asked: {
    requests: { PutObject: 1, HeadBucket: 1, GetObject: 2, Query: 1, PutItem: 2 },
    readUnits: 1.5,
    writeUnits: 3,
    objectBytesIn: 0,
    objectBytesOut: 0,
  },
};

interface Line {
  readonly _aws: {
    readonly Timestamp: number;
    readonly CloudWatchMetrics: readonly {
      readonly Namespace: string;
      readonly Dimensions: readonly (readonly string[])[];
      readonly Metrics: readonly { readonly Name: string; readonly Unit?: string }[];
    }[];
  };
  readonly [name: string]: unknown;
}

const lineOf = (changes: Partial<RequestMetrics> = {}): Line =>
  JSON.parse(emfLine("api", 1_795_241_580_000, { ...request, ...changes })) as Line;

describe("a line of metrics", () => {
  test("is in Embedded Metric Format: each metric is a number beside it, each dimension a text", () => {
    const text = emfLine("api", 1_795_241_580_000, request);
    const line = lineOf();

    expect(text.endsWith("}\n")).toBe(true);
    expect(text.indexOf("\n")).toBe(text.length - 1);
    expect(line._aws.Timestamp).toBe(1_795_241_580_000);
    for (const { Namespace, Dimensions, Metrics } of line._aws.CloudWatchMetrics) {
      expect(Namespace).toBe("Paylode");
      for (const name of Dimensions.flat()) expect(line[name]).toEqual(expect.any(String));
      for (const { Name, Unit } of Metrics) {
        expect(line[Name]).toEqual(expect.any(Number));
        expect([undefined, "Milliseconds", "Bytes"]).toContain(Unit);
      }
    }
  });

  test("holds what became of the request", () => {
    expect(lineOf()).toMatchObject({
      FunctionName: "api",
      Route: request.route,
      Requests: 1,
      Latency: 12.35,
      RequestBytes: 3,
      ResponseBytes: 200,
      ColdStarts: 1,
      S3Puts: 1,
      S3Gets: 3,
      ReadUnits: 1.5,
      WriteUnits: 3,
      method: "PUT",
      status: 200,
      requestId: "7f0c",
      requests: request.asked.requests,
    });
  });

  test.each([
    [200, 0, 0],
    [304, 0, 0],
    [404, 1, 0],
    [429, 1, 0],
    [500, 0, 1],
    [503, 0, 1],
  ])("counts the status %i as %i errors of clients and %i faults", (status, ClientErrors, Faults) => {
    expect(lineOf({ status })).toMatchObject({ ClientErrors, Faults });
  });

  test("counts a cold start once, and an answer that broke off", () => {
    expect(lineOf({ coldStart: false, broken: true })).toMatchObject({ ColdStarts: 0, Broken: 1 });
  });

  test("is no longer than its part of the bill allows", () => {
    expect(emfLine("paylode-production-ApiFunction-abcdefgh", 1_795_241_580_000, request).length).toBeLessThan(1_000);
  });

  test("has the metrics that docs/operations.md names, and no others", () => {
    const operations = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
    const [, section = ""] = /^## Metrics on Lambda\n(.*?)(?=^## )/ms.exec(operations) ?? [];
    const rows = [...section.matchAll(/^\| `(\w+)` +\| ([\w ]+?) +\| ([\w, ]+?) +\|/gm)].map(([, name, unit, by]) => ({
      name,
      unit,
      by,
    }));

    const [byFunction, byRoute] = lineOf()._aws.CloudWatchMetrics;
    const routed = new Set(byRoute?.Metrics.map(({ Name }) => Name));
    const spelled = { Milliseconds: "milliseconds", Bytes: "bytes" } as const;
    const wanted = byFunction?.Metrics.map(({ Name, Unit }) => ({
      name: Name,
      unit: spelled[Unit as keyof typeof spelled] ?? "count",
      by: routed.has(Name) ? "function, route" : "function",
    }));
    expect(byRoute?.Dimensions).toEqual([["FunctionName", "Route"]]);
    expect(rows).toEqual(wanted);
  });
});

describe("an error in the log", () => {
  test("is told without what names or holds a payload", () => {
    const details = {
      tenant: "acme",
      group: "secret",
      id: "secret",
      segment: "01jx",
      offset: 64,
      idempotencyKey: "secret",
    };
    const cause = Object.assign(new Error("secret"), { name: "AccessDenied" });

    const fault = faultOf(new PayloadStoreError("CORRUPT", "payload secret of group secret", { details, cause }));

    expect(fault).toEqual({
      code: "CORRUPT",
      details: { tenant: "acme", segment: "01jx", offset: 64 },
      cause: "AccessDenied",
    });
  });

  test("that nobody planned for says where it happened, and not its message", () => {
    const fault = faultOf(new TypeError("secret\n    and more of it"));

    expect(fault.code).toBe("TypeError");
    expect(fault.stack?.[0]).toMatch(/^at .*metrics\.test\.ts/);
    expect(JSON.stringify(fault)).not.toMatch(/secret|more of it/);
    expect(faultOf("secret")).toEqual({ code: "string", stack: [] });
  });
});
