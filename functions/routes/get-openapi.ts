import * as v from "valibot";
import { json, type Route } from "./route.ts";

/** GET /openapi.json: docs/openapi.json, which `npm run openapi` makes from the routes. */
export const getOpenapi: Route = {
  description: {
    operationId: "getOpenapi",
    summary: "This document",
    answers: {
      200: {
        description: "OpenAPI 3.1.",
        content: [{ kind: "json", schema: v.looseObject({ openapi: v.string() }) }],
      },
    },
    problems: [],
  },
  access: "open",
  handle: async () => {
    // Read when it is asked for, so that a server starts without it and the generator runs while it is broken. Bundlers take
    // an import along; a path in the file system would be lost to them.
    const { default: packed } = await import("../openapi-packed.json", { with: { type: "json" } });
    return json(await unpacked(packed.gzip));
  },
};

async function unpacked(gzip: string): Promise<unknown> {
  const bytes = Uint8Array.from(atob(gzip), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}
