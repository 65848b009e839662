import { gzipSync } from "node:zlib";
import { writeFileSync } from "node:fs";
import { Hono } from "hono";
import { describeRoute, generateSpecs, resolver } from "hono-openapi";
import type { GenericSchema } from "valibot";
import packageJson from "../package.json" with { type: "json" };
import { errorCodes, type ErrorCode } from "../core/errors.ts";
import { scopeOf } from "./access.ts";
import { statusOf } from "./http-errors.ts";
import { loadedRoutes, type Routes } from "./route-table.ts";
import type { AnswerDescription, ContentDescription, InputDescription, Route } from "./routes/route.ts";
import { problemSchema } from "./schemas.ts";

/**
 * Makes docs/openapi.json from the routes: `npm run openapi`. No face imports this file and no build holds it, since
 * its library weighs more than the app; docs/decisions/0007.
 *
 * @returns the document's text, the same for the same routes
 */
export async function openapiText(): Promise<string> {
  const described = new Hono();
  const routes = await loadedRoutes();
  for (const [template, methods] of Object.entries(routes)) {
    for (const [method, route] of Object.entries(methods)) {
      described.on(method, template, describeRoute(await operationOf(route, template, method)));
      if (method === "GET") {
        described.on("HEAD", template, describeRoute(headOf(await operationOf(route, template, method))));
      }
    }
  }
  const document = await generateSpecs(described, {
    // By default /openapi.json would be taken for a file and left out.
    excludeStaticFile: false,
    documentation: {
      info: {
        title: "Paylode",
        version: packageJson.version,
        description: "Stores the payloads of AI agents. What the words mean, with examples: docs/http.md.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: "http://localhost:8787", description: "the local server" }],
      // The local server may ask for no keys.
      security: [{ key: [] }, {}],
      components: {
        schemas: await schemasOf([problemSchema, ...lineSchemas(routes)]),
        securitySchemes: { key: { type: "http", scheme: "bearer", description: "A key's token; docs/http.md §13." } },
      },
    },
  });
  return `${JSON.stringify(document, null, 2)}\n`;
}

type Operation = Parameters<typeof describeRoute>[0];
type Responses = NonNullable<Operation["responses"]>;
type Content = NonNullable<Exclude<Responses[string], { $ref: string }>["content"]>;
type Parameter = NonNullable<Operation["parameters"]>[number];
type Schema = Awaited<ReturnType<ReturnType<typeof resolver>["toOpenAPISchema"]>>["schema"];

/** Where names stand in the path they can be malformed or another tenant's, and the store is asked. */
const problemsOfNamed: readonly ErrorCode[] = ["INVALID", "NOT_FOUND", "UNAVAILABLE", "CLOSED"];

const problemsOfKeys: readonly ErrorCode[] = ["UNAUTHENTICATED", "FORBIDDEN", "QUOTA_EXCEEDED", "UNAVAILABLE"];

const names: Readonly<Record<string, { readonly description: string; readonly schema: Schema }>> = {
  tenant: { description: "who owns the data", schema: { type: "string", pattern: "^[a-z0-9][a-z0-9-]{0,62}$" } },
  group: {
    description: "what is written and read together; 1–512 bytes of UTF-8, percent-encoded as one segment",
    schema: { type: "string", minLength: 1 },
  },
  erasure: { description: "an erasure, as it was answered", schema: { type: "string", pattern: "^[0-9a-f]{12}$" } },
  id: {
    description: "a payload's name in its group; 1–512 bytes of UTF-8, percent-encoded as one segment",
    schema: { type: "string", minLength: 1 },
  },
};

async function operationOf(route: Route, template: string, method: string): Promise<Operation> {
  const { operationId, summary, description, query, headers, body, answers, problems } = route.description;
  const scope = scopeOf(route, method);
  const inPath = [...template.matchAll(/:(\w+)/g)].map(([, name = ""]): Parameter => {
    return { name, in: "path", required: true, ...names[name] } as Parameter;
  });
  const responses: Responses = {};
  for (const [status, answer] of Object.entries(answers)) responses[status] = await responseOf(answer);
  const possible = [
    ...(inPath.length > 0 ? problemsOfNamed : []),
    ...(scope === undefined ? [] : problemsOfKeys),
    ...problems,
  ];
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    // OpenAPI 3.1 has scopes for OAuth alone: a name in the list of a bearer scheme is a role.
    security: scope === undefined ? [] : [{ key: [scope] }, {}],
    parameters: [...inPath, ...(await parametersOf("query", query)), ...(await parametersOf("header", headers))],
    ...(body === undefined ? {} : { requestBody: { required: true, content: await contentOf([body]) } }),
    responses: { ...responses, ...problemResponses([...new Set(possible)]) },
  };
}

/** GET's twin: the same headers without a body. Ranges are for GET alone, RFC 9110 §14.2. */
function headOf({ operationId, summary, responses, parameters, ...rest }: Operation): Operation {
  const bodiless = Object.entries(responses ?? {})
    .filter(([status]) => status !== "206" && status !== "416")
    .map(([status, response]) => {
      const { content: _content, ...head } = response as AnswerDescription;
      return [status, head];
    });
  return {
    ...rest,
    parameters: (parameters ?? []).filter((parameter) => !("name" in parameter && parameter.name.endsWith("Range"))),
    operationId: `${String(operationId)}Head`,
    summary: `${summary}: only the headers`,
    responses: Object.fromEntries(bodiless) as Responses,
  };
}

async function parametersOf(
  place: "query" | "header",
  inputs: Readonly<Record<string, InputDescription>> = {},
): Promise<Parameter[]> {
  return Promise.all(
    Object.entries(inputs).map(async ([name, { required = false, description, schema }]): Promise<Parameter> => {
      return { name, in: place, required, description, schema: await schemaOf(schema) } as Parameter;
    }),
  );
}

async function responseOf({ description, headers, content }: AnswerDescription): Promise<Responses[string]> {
  const named = Object.entries(headers ?? {}).map(([name, says]) => {
    return [name, { description: says, required: true, schema: { type: "string" as const } }];
  });
  return {
    description,
    ...(headers === undefined ? {} : { headers: Object.fromEntries(named) as Record<string, object> }),
    ...(content === undefined ? {} : { content: await contentOf(content) }),
  };
}

async function contentOf(contents: readonly ContentDescription[]): Promise<Content> {
  return Object.fromEntries(await Promise.all(contents.map(mediaOf)));
}

async function mediaOf(content: ContentDescription): Promise<[type: string, media: Content[string]]> {
  switch (content.kind) {
    case "json":
      return ["application/json", { schema: resolver(content.schema) }];
    case "problem":
      return ["application/problem+json", { schema: resolver(content.schema) }];
    case "ndjson": {
      const contentMediaType = "application/x-ndjson";
      // OpenAPI 3.1 has no word for "each line": the string is what comes, contentSchema what one line of it holds.
      const schema = { type: "string", contentMediaType, contentSchema: await schemaOf(content.schema) } as Schema;
      return [contentMediaType, { schema }];
    }
    case "bytes":
      return ["*/*", {}];
    case "text":
      return ["text/plain", { schema: { type: "string" } }];
  }
}

/** Codes that share a status share an answer. */
function problemResponses(codes: readonly ErrorCode[]): Responses {
  const byStatus = Map.groupBy(codes, (code) => statusOf[code] as number);
  const responses = [...byStatus].map(([status, sharing]) => {
    const says = sharing.map((code) => `${code}: ${errorCodes[code].action}.`);
    return [status, problemResponse(sharing, says.join(" "), headersOf[status])];
  });
  const damaged = byStatus.get(500) ?? [];
  const internal = [
    ...damaged.map((code) => `${code}: ${errorCodes[code].action}.`),
    "INTERNAL: see the server's log.",
  ];
  return {
    ...Object.fromEntries(responses),
    500: problemResponse([...damaged, "INTERNAL"], internal.join(" ")),
  };
}

const challenge = { description: "RFC 6750: what is missing", required: true, schema: { type: "string" } };
const retryAfter = { description: "seconds to wait", required: true, schema: { type: "integer" } };

/** Of problems, by their status. */
const headersOf: Readonly<Record<number, Record<string, object>>> = {
  401: { "WWW-Authenticate": challenge },
  403: { "WWW-Authenticate": challenge },
  429: { "Retry-After": retryAfter },
  503: { "Retry-After": retryAfter },
};

function problemResponse(
  codes: readonly string[],
  description: string,
  headers?: Record<string, object>,
): Responses[string] {
  const schema = { $ref: "#/components/schemas/Problem", properties: { code: { enum: [...codes] } } };
  return {
    description,
    ...(headers === undefined ? {} : { headers }),
    content: { "application/problem+json": { schema } },
  };
}

async function schemaOf(schema: GenericSchema): Promise<Schema> {
  return (await resolver(schema).toOpenAPISchema()).schema;
}

/** The library gathers named shapes from answers by itself, but does not look into contentSchema. */
function lineSchemas(routes: Routes): GenericSchema[] {
  const all = Object.values(routes).flatMap((methods) => Object.values(methods));
  const contents = all.flatMap(({ description: { body, answers } }) => [
    ...(body === undefined ? [] : [body]),
    ...Object.values(answers).flatMap(({ content }) => content ?? []),
  ]);
  return contents.flatMap((content) => (content.kind === "ndjson" ? [content.schema] : []));
}

async function schemasOf(schemas: readonly GenericSchema[]): Promise<Record<string, Schema>> {
  const resolved = await Promise.all(schemas.map((schema) => resolver(schema).toOpenAPISchema()));
  return Object.assign({}, ...resolved.map(({ components }) => components?.schemas)) as Record<string, Schema>;
}

if (import.meta.main) {
  const text = await openapiText();
  writeFileSync(new URL("../docs/openapi.json", import.meta.url), text);
  // The same in a sixth of the bytes, which is what servers take along.
  const gzip = gzipSync(JSON.stringify(JSON.parse(text)), { level: 9 }).toString("base64");
  writeFileSync(new URL("openapi-packed.json", import.meta.url), `${JSON.stringify({ gzip }, null, 2)}\n`);
}
