import * as v from "valibot";
import { countBytesElsewhere } from "../counted-bytes.ts";
import { readJson } from "../json-body.ts";
import { bytesSchema, sha256Schema } from "../schemas.ts";
import { json, type Route } from "./route.ts";

const uploadSchema = v.strictObject({ bytes: bytesSchema, sha256: sha256Schema });

/** POST …/payloads/{id}/upload: a URL that takes the payload's bytes past the handler. Nothing is stored yet. */
export const uploadPayload: Route = {
  description: {
    operationId: "uploadPayload",
    summary: "Begin a payload of up to 5 GiB",
    description:
      "Put the bytes at the answered URL, with the answered headers, then commit them. A store in a folder takes no uploads.",
    body: { kind: "json", schema: uploadSchema },
    answers: {
      200: {
        description: "The URL, good for an hour and for these bytes alone.",
        content: [
          {
            kind: "json",
            schema: v.object({
              upload: v.pipe(v.string(), v.description("names the upload when it is committed")),
              url: v.string(),
              method: v.literal("PUT"),
              headers: v.pipe(v.record(v.string(), v.string()), v.description("to be sent as they are")),
              expires: v.pipe(v.string(), v.description("when the URL ends to be good, as ISO 8601")),
            }),
          },
        ],
      },
    },
    problems: ["TOO_LARGE", "UNSUPPORTED"],
  },
  handle: async (context, key, store) => {
    const input = await readJson(context.req.raw, uploadSchema);
    await countBytesElsewhere(context, input.bytes);
    const { expiresMs, ...begun } = await store.beginUpload(key, input);
    return json({ ...begun, expires: new Date(expiresMs).toISOString() });
  },
};
