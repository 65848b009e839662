import { afterAll, describe, expect, test } from "vitest";
import { dynamoClient } from "../../core/adapters/aws/dynamo-client.ts";
import { s3Client } from "../../core/adapters/aws/s3-loaded.ts";
import { openAws } from "../../core/entries/aws.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise } from "../conformance/sample-bytes.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";
import { awsFaultSuite } from "../support/aws/fault-suite.ts";
import { longWorkload, shortWorkload } from "../support/aws/fault-workload.ts";
import type { Fault } from "../support/aws/faults.ts";
import { freshPlaceOf, startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

await awsFaultSuite({
  servers,
  workload: longWorkload,
  only: ["is reset before it takes effect", "is reset after it took effect"],
});

// How a request fails is a matter of the request, and not of what came before it.
describe("of few calls", async () => {
  await awsFaultSuite({
    servers,
    workload: shortWorkload,
    only: [
      "is never answered, and takes no effect",
      "is never answered, and took effect",
      "fails with 500 before it takes effect",
      "fails with 500 after it took effect",
      "is refused: too many",
      "is cut in its body",
      "has its answer cut",
      "has its answer come slowly",
    ],
    late: false,
  });
});

test("the clients that a store has by default try again where a server has gone silent", async () => {
  const { s3, dynamo } = servers;
  const config = { region: "us-east-1" };
  const clients = {
    s3: s3Client({ ...config, endpoint: s3.url, credentials: s3.credentials, forcePathStyle: true }),
    dynamo: dynamoClient({ ...config, endpoint: dynamo.url, credentials: dynamo.credentials }),
  };
  const silences: readonly ((place: AwsPlace) => Fault)[] = [
    ({ bucket }) => s3.fault({ kind: "timeout", when: "after", operation: "PutObject", resource: bucket }),
    ({ bucket }) => s3.fault({ kind: "timeout", operation: "GetObject", resource: bucket }),
    ({ table }) => dynamo.fault({ kind: "timeout", when: "after", operation: "PutItem", resource: table }),
    ({ table }) => dynamo.fault({ kind: "timeout", operation: "Query", resource: table }),
  ];

  // Each is waited for, and so all at the same time.
  const hits = await Promise.all(
    silences.map(async (silence) => {
      const place = await freshPlaceOf(servers);
      const store = await openAws({ ...place, clients });
      const fault = silence(place);
      const key = { tenant: "acme", group: "g", id: "a" };
      await store.append(key, noise(9000, 1));
      sameBytes(await store.get(key), noise(9000, 1));
      return fault.hits;
    }),
  );

  expect(hits).toEqual([1, 1, 1, 1]);
  clients.s3.destroy();
  clients.dynamo.destroy();
});
