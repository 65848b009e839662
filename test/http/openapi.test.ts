import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { openMemory } from "../../core/entries/memory.ts";
import { createApp } from "../../functions/app.ts";
import { parseLine } from "../../functions/ndjson-lines.ts";
import { openapiText } from "../../functions/openapi.ts";
import { templateOf } from "../../functions/route-table.ts";
import { httpApiSuite } from "../support/http-api-suite.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, Answer>>;
}
interface Answer {
  readonly headers?: Readonly<Record<string, { readonly required: boolean }>>;
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}
type Schema = Readonly<Record<string, unknown>>;

const text = readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8");
const document = JSON.parse(text) as {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

describe("docs/openapi.json", () => {
  test("is what the routes say; if not: npm run openapi", async () => {
    expect(text).toBe(await openapiText());
  });

  test("is valid OpenAPI 3.1", async () => {
    const result = await new Validator().validate(structuredClone(document));

    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  test("describes each route that the app registers, and no other", () => {
    const registered = createApp(openMemory()).routes.map(({ method, path }) => `${method} ${path}`);
    // GET answers HEAD without a route of its own.
    const answered = registered.flatMap((route) => [
      route,
      ...(route.startsWith("GET ") ? [`HEAD${route.slice(3)}`] : []),
    ]);

    const described = operations.map(({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, ":$1")}`);

    expect(described.toSorted()).toEqual(answered.toSorted());
  });

  test("names each operation differently, and each name in its path", () => {
    const ids = operations.map(({ operation }) => operation.operationId);

    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, operation } of operations) {
      const inPath = operation.parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
      expect(inPath).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
  });

  test("is served", async () => {
    const response = await createApp(openMemory()).request("/openapi.json");

    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual(document);
  });

  test.each([
    ["text", { text: "x" }],
    ["payload", { payload: "x" }],
    ["JSON", { json: [1, null] }],
    ["bytes", { base64: "AA==" }],
    ["a content type", { text: "x", contentType: "text/html" }],
    ["none", { text: "x", contentType: null }],
    ["attributes", { text: "x", attributes: { kind: "k" } }],
    ["an unknown member", { text: "x", ttl: 1 }],
    ["a number as text", { text: 1 }],
    ["attributes that are numbers", { text: "x", attributes: { kind: 1 } }],
  ])("takes and refuses the lines that the parser does: %s", (_what, members) => {
    const line = { group: "g", id: "a", ...members };
    const bytes = new TextEncoder().encode(JSON.stringify(line));

    let isTaken = true;
    try {
      parseLine({ number: 1, bytes }, "withGroup", 1000);
    } catch {
      isTaken = false;
    }

    expect(schemaAt({ $ref: "#/components/schemas/PayloadLine" })(line)).toBe(isTaken);
  });
});

/** Every answer of the black-box suite is held against the document, so that what it says is what is answered. */
httpApiSuite("createApp, held against docs/openapi.json,", async () => {
  const payloadBytesMax = 256 * 1024;
  const store = openMemory({ payloadBytesMax });
  const app = createApp(store);
  return {
    origin: "http://paylode.test",
    payloadBytesMax,
    ask: async (request) => {
      const response = await app.fetch(request);
      await expectDescribed(request, response.clone());
      return response;
    },
    close: () => store.close(),
  };
});

async function expectDescribed(request: Request, response: Response): Promise<void> {
  const template = templateOf(new URL(request.url).pathname);
  const operation = document.paths[template?.replace(/:(\w+)/g, "{$1}") ?? ""]?.[request.method.toLowerCase()];
  if (operation === undefined) return;

  const answer = operation.responses[response.status];
  const asked = `${request.method} ${template} → ${response.status}`;
  expect(answer, `${asked} is not described`).toBeDefined();
  for (const name of Object.keys(answer?.headers ?? {}))
    expect(response.headers.has(name), `${asked}: ${name}`).toBe(true);
  const body = await response.text();
  if (answer?.content === undefined) {
    expect(body, asked).toBe("");
    return;
  }
  const type = response.headers.get("content-type") ?? "";
  const media = answer.content[type] ?? answer.content["*/*"];
  expect(media, `${asked}: ${type} is not described`).toBeDefined();
  if (media?.schema === undefined) return;
  const isLines = type === "application/x-ndjson";
  const matches = schemaAt(isLines ? (media.schema["contentSchema"] as Schema) : media.schema);
  for (const part of isLines ? body.split("\n").filter((line) => line !== "") : [body]) {
    const value: unknown = JSON.parse(part);
    expect(matches(value) ? [] : matches.errors, `${asked}: ${part.slice(0, 200)}`).toEqual([]);
  }
}

/**
 * Answers may get new members without a new version, so the document leaves their objects open. Here they are closed: a
 * member that the document does not name has been forgotten in it. Problems are open by intent.
 */
function closed(schema: unknown, name = ""): unknown {
  if (Array.isArray(schema)) return schema.map((part) => closed(part));
  if (typeof schema !== "object" || schema === null) return schema;
  const parts = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, closed(part, key)]));
  const isObject = "properties" in parts && parts["type"] === "object" && name !== "Problem";
  return isObject ? { additionalProperties: false, ...parts } : parts;
}

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: "paylode:", components: closed(document.components) });
const compiled = new Map<string, ValidateFunction>();

function schemaAt(schema: Schema): ValidateFunction {
  const text = JSON.stringify(closed(schema)).replaceAll("#/components/", "paylode:#/components/");
  const known = compiled.get(text) ?? ajv.compile(JSON.parse(text) as Schema);
  compiled.set(text, known);
  return known;
}
