import { afterAll } from "vitest";
import { createApp } from "../../functions/app.ts";
import { awsPortsConformance, awsStoreConformance } from "../support/aws/aws-conformance.ts";
import { freshPlace, openAt } from "../support/aws/aws-under-test.ts";
import { startCeph } from "../support/aws/ceph.ts";
import { startDynalite } from "../support/aws/dynamo-server.ts";
import { awsMovesSuite } from "../support/aws/moves-suite.ts";
import { httpApiSuite } from "../support/http-api-suite.ts";

const s3 = await startCeph();
const dynamo = await startDynalite();
afterAll(async () => {
  await s3.close();
  await dynamo.close();
});

const name = "Ceph and dynalite";
const servers = { s3, dynamo, clients: { s3: s3.client(), dynamo: dynamo.client() } };
await awsPortsConformance(name, servers, 0.4);
await awsStoreConformance(name, servers, 0.1, ["by price", "segments alone", "rows before segments"]);
awsMovesSuite(name, servers);

httpApiSuite(`createApp over ${name}`, async () => {
  const payloadBytesMax = 256 * 1024;
  const options = { payloadBytesMax, indexedAttributes: ["user", "model"] };
  const store = await openAt(servers, await freshPlace(servers), options);
  const app = createApp(store);
  return {
    origin: "http://paylode.test",
    payloadBytesMax,
    ordersNothing: true,
    ask: async (request) => app.fetch(request),
    close: () => store.close(),
  };
});
