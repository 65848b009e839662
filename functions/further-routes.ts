import { appendBatch } from "./routes/append-batch.ts";
import { appendBatches } from "./routes/append-batches.ts";
import { commitUpload } from "./routes/commit-upload.ts";
import { deleteGroup } from "./routes/delete-group.ts";
import { erasePayloads } from "./routes/erase-payloads.ts";
import { findPayloads } from "./routes/find-payloads.ts";
import { getErasure } from "./routes/get-erasure.ts";
import { getMetrics } from "./routes/get-metrics.ts";
import { getOpenapi } from "./routes/get-openapi.ts";
import { getStats } from "./routes/get-stats.ts";
import { listErasures } from "./routes/list-erasures.ts";
import { listGroups } from "./routes/list-groups.ts";
import { listPayloads } from "./routes/list-payloads.ts";
import { uploadPayload } from "./routes/upload-payload.ts";

/** What {@link routeOf} loads when the first request for one of them comes. */
export const furtherRoutes = {
  "/v1/:tenant/groups/:group/payloads/:id/upload": { POST: uploadPayload },
  "/v1/:tenant/groups/:group/payloads/:id/commit": { POST: commitUpload },
  "/v1/:tenant/groups/:group/payloads": { GET: listPayloads, POST: appendBatch },
  "/v1/:tenant/groups/:group": { DELETE: deleteGroup },
  "/v1/:tenant/groups": { GET: listGroups },
  "/v1/:tenant/payloads": { GET: findPayloads, POST: appendBatches },
  "/v1/:tenant/erasures": { GET: listErasures, POST: erasePayloads },
  "/v1/:tenant/erasures/:erasure": { GET: getErasure },
  "/v1/:tenant/stats": { GET: getStats },
  "/metrics": { GET: getMetrics },
  "/openapi.json": { GET: getOpenapi },
};
