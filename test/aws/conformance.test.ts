import { afterAll } from "vitest";
import { awsPortsConformance, awsStoreConformance } from "../support/aws/aws-conformance.ts";
import { startDynalite } from "../support/aws/dynamo-server.ts";
import { startS3Double } from "../support/aws/s3-double.ts";

const s3 = await startS3Double();
const dynamo = await startDynalite();
afterAll(async () => {
  await s3.close();
  await dynamo.close();
});

const servers = { s3, dynamo, clients: { s3: s3.client(), dynamo: dynamo.client() } };
await awsPortsConformance("S3 double and dynalite", servers, 0.1);
await awsStoreConformance("S3 double and dynalite", servers, 0.05, ["by price"]);
