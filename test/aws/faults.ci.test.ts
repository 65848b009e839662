import { afterAll, expect, test } from "vitest";
import { dynamoClient, s3Client } from "../../core/adapters/aws/clients.ts";
import { openAws } from "../../core/entries/aws.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { awsFaultSuite } from "../support/aws/fault-suite.ts";
import { longWorkload } from "../support/aws/fault-workload.ts";
import { freshPlaceOf, startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

await awsFaultSuite({ servers, workload: longWorkload });

test("the clients that a store has by default try again where a server has gone silent", async () => {
  const { s3, dynamo } = servers;
  const place = await freshPlaceOf(servers);
  const config = { region: "us-east-1" };
  const clients = {
    s3: s3Client({ ...config, endpoint: s3.url, credentials: s3.credentials, forcePathStyle: true }),
    dynamo: dynamoClient({ ...config, endpoint: dynamo.url, credentials: dynamo.credentials }),
  };
  const store = await openAws({ ...place, clients });
  const silences = [
    s3.fault({ kind: "timeout", when: "after", operation: "PutObject", resource: place.bucket }),
    s3.fault({ kind: "timeout", operation: "GetObject", resource: place.bucket }),
    dynamo.fault({ kind: "timeout", when: "after", operation: "PutItem", resource: place.table }),
    dynamo.fault({ kind: "timeout", operation: "Query", resource: place.table }),
  ];

  const key = { tenant: "acme", group: "g", id: "a" };
  await store.append(key, noise(9000, 1));
  sameBytes(await store.get(key), noise(9000, 1));

  expect(silences.map(({ hits }) => hits)).toEqual([1, 1, 1, 1]);
  clients.s3.destroy();
  clients.dynamo.destroy();
});
