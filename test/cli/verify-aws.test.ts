import { DeleteObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { VerifyEstimate } from "../../core/verify/estimate.ts";
import type { VerifyReport } from "../../core/verify/report.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";
import { startDynalite } from "../support/aws/dynamo-server.ts";
import { freshPlaceOf, openHandler } from "../support/aws/handlers.ts";
import { startS3Double } from "../support/aws/s3-double.ts";
import { run } from "../support/command-line.ts";

const s3 = await startS3Double();
const dynamo = await startDynalite({ credentials: s3.credentials });
afterAll(async () => {
  await Promise.all([s3.close(), dynamo.close()]);
});

/** What the command line knows of AWS it has from its environment. */
const env = {
  AWS_ENDPOINT_URL_S3: s3.url,
  AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
  AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
  AWS_REGION: "us-east-1",
  AWS_EC2_METADATA_DISABLED: "true",
};

const priced = new RegExp(
  [
    /^(?<segments>\d+) segments? of (?<bytes>[\d,]+) bytes: at most (?<lists>\d+) LISTs?, (?<gets>\d+) GETs?, /,
    /(?<units>\d+) read units?, \$(?<dollars>\d+\.\d{4}) by the price list; /,
    /the table counts its rows every six hours: 0 rows so far\n/,
  ]
    .map(({ source }) => source)
    .join(""),
);

let place: AwsPlace;
const verify = (...flags: readonly string[]) =>
  run(["verify", "--bucket", place.bucket, "--table", place.table, ...flags], "", env);

beforeEach(async () => {
  place = await freshPlaceOf({ s3, dynamo });
  const { store } = await openHandler({ s3, dynamo }, place);
  const items = Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, bytes: noise(9000, i) }));
  await store.appendMany({ tenant: "acme", group: "g" }, items);
  await store.append({ tenant: "acme", group: "h", id: "a" }, noise(9000, 99));
  await store.append({ tenant: "acme", group: "h", id: "b" }, prose(300, 1));
  s3.log.clear();
  dynamo.log.clear();
});

describe("paylode verify --bucket", () => {
  test("--estimate tells the price, and reads no payload", async () => {
    const [words, json] = await Promise.all([verify("--estimate"), verify("--estimate", "--json")]);

    expect(words).toMatchObject({ code: 0, stderr: "" });
    const cost = JSON.parse(String(json.stdout)) as VerifyEstimate;
    const told = priced.exec(String(words.stdout))?.groups;
    expect(told).toMatchObject({ segments: "2", lists: `${cost.lists}`, gets: `${cost.gets}` });
    expect(cost.bytes).toBeGreaterThan(189_000);
    expect(cost.dollars).toBeGreaterThan(0);
    expect(s3.log.count({ operation: "GetObject" })).toBe(0);
    expect(dynamo.log.count({ operation: "Query" })).toBe(0);
  });

  test("tells the price before it begins, keeps within it, and reports what it read", async () => {
    const ended = await verify("--json");

    expect(ended.code).toBe(0);
    const told = priced.exec(ended.stderr)?.groups;
    expect(told).toMatchObject({ segments: "2" });
    const asked = s3.log.entries().map(({ operation }) => operation);
    // The lists that the price is made of come before the first byte of a segment.
    expect(asked.indexOf("ListObjectsV2")).toBeGreaterThanOrEqual(0);
    expect(asked.indexOf("ListObjectsV2")).toBeLessThan(asked.indexOf("GetObject"));
    expect(s3.log.count({ operation: "GetObject" })).toBeLessThanOrEqual(Number(told?.["gets"]));
    const report = JSON.parse(String(ended.stdout)) as VerifyReport;
    expect(report).toMatchObject({ faults: [], segments: 2, payloads: 22, ids: 22 });
  });

  test("ends with 1 where a segment is gone that rows refer to", async () => {
    const client = s3.client();
    const { Contents = [] } = await client.send(
      new ListObjectsV2Command({ Bucket: place.bucket, Prefix: "segments/" }),
    );
    await client.send(new DeleteObjectCommand({ Bucket: place.bucket, Key: Contents[0]!.Key }));

    const ended = await verify();

    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(priced);
    expect(String(ended.stdout)).toMatch(/dangling, byte 0: the segment is gone/);
  });

  test("is asked for with --table, as --estimate is", async () => {
    const wrong = [["--bucket", "b"], ["--table", "t"], ["--estimate"]];
    for (const flags of wrong) {
      const { code, stderr } = await run(["verify", ...flags], "", env);
      expect(code).toBe(2);
      expect(stderr).toContain("named by --bucket and --table");
    }
  });
});
