import { appendBatch } from "./routes/append-batch.ts";
import { appendBatches } from "./routes/append-batches.ts";
import { commitUpload } from "./routes/commit-upload.ts";
import { deleteGroup } from "./routes/delete-group.ts";
import { deletePayload } from "./routes/delete-payload.ts";
import { erasePayloads } from "./routes/erase-payloads.ts";
import { findPayloads } from "./routes/find-payloads.ts";
import { getErasure } from "./routes/get-erasure.ts";
import { getHealth } from "./routes/get-health.ts";
import { getMetrics } from "./routes/get-metrics.ts";
import { getOpenapi } from "./routes/get-openapi.ts";
import { getPayload } from "./routes/get-payload.ts";
import { getStats } from "./routes/get-stats.ts";
import { listErasures } from "./routes/list-erasures.ts";
import { listGroups } from "./routes/list-groups.ts";
import { listPayloads } from "./routes/list-payloads.ts";
import { putPayload } from "./routes/put-payload.ts";
import { uploadPayload } from "./routes/upload-payload.ts";
import type { Route } from "./routes/route.ts";

/** Template → method → route. GET answers HEAD as well. */
export const routes: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  "/v1/:tenant/groups/:group/payloads/:id": { GET: getPayload, PUT: putPayload, DELETE: deletePayload },
  "/v1/:tenant/groups/:group/payloads/:id/upload": { POST: uploadPayload },
  "/v1/:tenant/groups/:group/payloads/:id/commit": { POST: commitUpload },
  "/v1/:tenant/groups/:group/payloads": { GET: listPayloads, POST: appendBatch },
  "/v1/:tenant/groups/:group": { DELETE: deleteGroup },
  "/v1/:tenant/groups": { GET: listGroups },
  "/v1/:tenant/payloads": { GET: findPayloads, POST: appendBatches },
  "/v1/:tenant/erasures": { GET: listErasures, POST: erasePayloads },
  "/v1/:tenant/erasures/:erasure": { GET: getErasure },
  "/v1/:tenant/stats": { GET: getStats },
  "/healthz": { GET: getHealth },
  "/metrics": { GET: getMetrics },
  "/openapi.json": { GET: getOpenapi },
};

/** The template that a raw path belongs to, whatever the method. Names are not looked into, so any path can be asked for. */
export function templateOf(path: string): string | undefined {
  const given = path.slice(1).split("/");
  return Object.keys(routes).find((template) => {
    const wanted = template.slice(1).split("/");
    return wanted.length === given.length && wanted.every((part, i) => part.startsWith(":") || part === given[i]);
  });
}
