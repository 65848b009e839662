import { randomBytes } from "node:crypto";
import { DeleteObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { type AwsOptions, type AwsStore, openAws } from "../../core/entries/aws.ts";
import { tenantPolicy } from "../../infra/tenant-policy.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";
import { freshPlaceOf, openHandler, startFaultyServers } from "../support/aws/handlers.ts";
import { judge } from "../support/aws/judged-clients.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

const many = Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, bytes: prose(300, i) }));

/** A place that an operator has opened once: its table has its own row. */
async function place(): Promise<AwsPlace> {
  const fresh = await freshPlaceOf(servers);
  await openHandler(servers, fresh, { indexedAttributes: ["user"] });
  return fresh;
}

/** Opens it with the credentials of tenant acme, or whose policy it is. */
async function openBound(at: AwsPlace, access: "read" | "write", options: Partial<AwsOptions> = { boundTo: "acme" }) {
  const clients = { s3: servers.s3.client({ maxAttempts: 1 }), dynamo: servers.dynamo.client({ maxAttempts: 1 }) };
  const bucketArn = `arn:aws:s3:::${at.bucket}`;
  const tableArn = `arn:aws:dynamodb:eu-central-1:123456789012:table/${at.table}`;
  const policy = tenantPolicy({ tenant: "acme", bucketArn, tableArn, access });
  const refused = judge(clients, policy, { bucketArn, tableArn });
  const store: AwsStore = await openAws({ ...at, clients, ...options });
  return { store, refused };
}

describe("credentials that are bound to one tenant", () => {
  test("write and read all that is its own, and are refused nothing on the way", async () => {
    const { store, refused } = await openBound(await place(), "write");
    const key = { tenant: "acme", group: "g", id: "a" };

    await store.append(key, prose(300, 1), { attributes: { user: "u-1" } });
    await store.appendMany({ tenant: "acme", group: "h" }, many);
    await store.append({ ...key, id: "b" }, new Uint8Array(randomBytes(200_000)));
    await store.delete({ ...key, id: "b" });
    await store.append({ ...key, id: "once" }, prose(10, 3), { ifAbsent: true });

    sameBytes(await store.get(key), prose(300, 1));
    sameBytes((await store.getMany({ tenant: "acme", group: "h" }, ["7"]))[0], many[7]!.bytes);
    expect(await store.has({ ...key, id: "b" })).toBe(false);
    const found = [];
    for await (const { id } of store.find({ tenant: "acme", where: { user: "u-1" } })) found.push(id);
    expect(found).toEqual(["a"]);
    expect(refused).toEqual([]);
  });

  test("read with a policy that lets them write nothing", async () => {
    const at = await place();
    const writer = await openBound(at, "write");
    await writer.store.appendMany({ tenant: "acme", group: "h" }, many);

    const { store, refused } = await openBound(at, "read");

    sameBytes(await store.get({ tenant: "acme", group: "h", id: "3" }), many[3]!.bytes);
    await expect(store.append({ tenant: "acme", group: "g", id: "a" }, prose(10, 1))).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    expect(refused).toEqual(["dynamodb:PutItem"]);
  });

  test("get nothing of another tenant", async () => {
    const at = await place();
    const { store: all } = await openHandler(servers, at);
    await all.append({ tenant: "globex", group: "g", id: "a" }, prose(300, 1));
    const large = await all.append({ tenant: "globex", group: "g", id: "b" }, new Uint8Array(randomBytes(100_000)));

    const { store } = await openBound(at, "write");

    const permission = { code: "UNAVAILABLE", message: expect.stringContaining("permission is denied") };
    const key = { tenant: "globex", group: "g", id: "a" };
    await expect(store.get(key)).rejects.toMatchObject(permission);
    await expect(store.has({ ...key, id: "none" })).rejects.toMatchObject(permission);
    await expect(store.append(key, prose(10, 2))).rejects.toMatchObject(permission);
    await expect(store.getAt({ tenant: "globex" }, large)).rejects.toMatchObject(permission);
    sameBytes(await all.get(key), prose(300, 1));
  });

  test("see a segment that is gone as gone, and name page and segment", async () => {
    const at = await place();
    const { store } = await openBound(at, "write");
    await store.append({ tenant: "acme", group: "g", id: "a" }, new Uint8Array(randomBytes(100_000)));
    const s3 = servers.s3.client();
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: at.bucket, Prefix: "segments/" }));
    expect(Contents).toHaveLength(1);
    await s3.send(new DeleteObjectCommand({ Bucket: at.bucket, Key: Contents[0]!.Key }));

    const { store: reader } = await openBound(at, "read");

    const [segment] = /[^/]+(?=\.seg$)/.exec(Contents[0]!.Key!)!;
    await expect(reader.get({ tenant: "acme", group: "g", id: "a" })).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining(segment),
    });
  });

  test("are told that an upload was never put", async () => {
    const { store } = await openBound(await place(), "write");
    const input = { bytes: 3, sha256: "0".repeat(64) };
    const { upload } = await store.beginUpload({ tenant: "acme", group: "g", id: "a" }, input);

    await expect(
      store.commitUpload({ tenant: "acme", group: "g", id: "a" }, { ...input, upload }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("are refused where it is not said whose they are, and where it is another's name", async () => {
    const at = await place();
    const message = `opening bucket ${at.bucket} failed: permission is denied: check the policy of the role`;

    await expect(openBound(at, "write", {})).rejects.toMatchObject({ code: "UNAVAILABLE", message });
    await expect(openBound(at, "write", { boundTo: "globex" })).rejects.toMatchObject({ message });
  });

  test("are told the name of a bucket that is not there", async () => {
    const at = { ...(await place()), bucket: "no-such-bucket" };

    await expect(openBound(at, "write")).rejects.toMatchObject({
      message: "opening bucket no-such-bucket failed: there is no such bucket: deploy it, or check its name and region",
    });
  });
});
