import { execFileSync } from "node:child_process";
import path from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tenantPolicy } from "../../infra/tenant-policy.ts";
import { resolveTenant } from "../../core/key.ts";
import { isAllowed, type Request, wildcardsOf } from "../support/infra/iam.ts";
import { holds } from "../support/property.ts";

const bucketArn = "arn:aws:s3:::paylode-production-bucket";
const tableArn = "arn:aws:dynamodb:eu-central-1:123456789012:table/paylode-production-table";

const onPage = (tenant: string, operation: string, group = "run-1"): Request => ({
  action: `dynamodb:${operation}`,
  resource: tableArn,
  context: { "dynamodb:LeadingKeys": [`${tenant}/${group}`] },
});
const onKey = (operation: string, key: string): Request => ({
  action: `s3:${operation}`,
  resource: `${bucketArn}/${key}`,
});
const listing = (prefix: string): Request => ({
  action: "s3:ListBucket",
  resource: bucketArn,
  context: { "s3:prefix": prefix },
});

/** Everything that a store could want of a tenant's pages and objects, and more. */
function requestsFor(tenant: string, name: string): readonly Request[] {
  const keys = [`segments/${tenant}/${name}.seg`, `uploads/${tenant}/${name}`];
  return [
    ...["Query", "PutItem"].map((each) => onPage(`~find/${tenant}`, each, name)),
    ...["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem"].map((each) =>
      onPage(tenant, each, name),
    ),
    ...keys.flatMap((key) => [
      ...["GetObject", "PutObject", "DeleteObject", "GetObjectVersion"].map((each) => onKey(each, key)),
      listing(key),
    ]),
  ];
}

const tenants = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/);
const accesses = fc.constantFrom("read" as const, "write" as const);

describe("the policy of a tenant", () => {
  const readOnly = tenantPolicy({ tenant: "a", bucketArn, tableArn });
  const writing = tenantPolicy({ tenant: "a", bucketArn, tableArn, access: "write" });

  test("lets it read its pages and objects, any group, and hear that an object is gone", () => {
    for (const policy of [readOnly, writing]) {
      expect(isAllowed(policy, onPage("a", "Query", "run/1 ~*?"))).toBe(true);
      expect(isAllowed(policy, onPage("a", "GetItem"))).toBe(true);
      expect(isAllowed(policy, onPage("~find/a", "Query", "0123456789abcdef0123456789abcdef"))).toBe(true);
      expect(isAllowed(policy, onKey("GetObject", "segments/a/01jx.seg"))).toBe(true);
      expect(isAllowed(policy, onKey("GetObject", "uploads/a/01jx"))).toBe(true);
      expect(isAllowed(policy, listing("segments/a/01jx.seg"))).toBe(true);
    }
  });

  test("lets it write when it says so, and remove nothing", () => {
    for (const request of [
      onPage("a", "PutItem"),
      onPage("~find/a", "PutItem"),
      onKey("PutObject", "segments/a/01jx.seg"),
    ]) {
      expect(isAllowed(writing, request)).toBe(true);
      expect(isAllowed(readOnly, request)).toBe(false);
    }
    for (const request of [onPage("a", "DeleteItem"), onKey("DeleteObject", "segments/a/01jx.seg")]) {
      expect(isAllowed(writing, request)).toBe(false);
    }
  });

  test.each(["ab", "b", "a-", "a-b", "aa"])("keeps it from tenant %s", (other) => {
    for (const policy of [readOnly, writing]) {
      expect(requestsFor(other, "run-1").filter((request) => isAllowed(policy, request))).toEqual([]);
    }
  });

  test("keeps every tenant from every other", async () => {
    const property = fc.property(tenants, tenants, accesses, fc.string(), (tenant, other, access, name) => {
      fc.pre(tenant !== other);
      const policy = tenantPolicy({ tenant, bucketArn, tableArn, access });
      expect(requestsFor(other, name).filter((request) => isAllowed(policy, request))).toEqual([]);
      expect(isAllowed(policy, onPage(tenant, "Query", name))).toBe(true);
    });

    await holds(import.meta.filename, property, { runs: 500 });
  });

  test("keeps it from keys and usage, its own too, and from the store's row but for reading", () => {
    const onRow = (pk: string, operation: string): Request => ({
      action: `dynamodb:${operation}`,
      resource: tableArn,
      context: { "dynamodb:LeadingKeys": [pk] },
    });

    for (const operation of ["GetItem", "Query", "PutItem", "UpdateItem"]) {
      for (const pk of ["~keys/a", "~usage/a", "~keys/b"]) expect(isAllowed(writing, onRow(pk, operation))).toBe(false);
      expect(isAllowed(writing, onRow("~store", operation))).toBe(operation === "GetItem");
    }
  });

  test("keeps it from the table and the bucket as a whole", () => {
    const whole: readonly Request[] = [
      { action: "dynamodb:Scan", resource: tableArn },
      { action: "dynamodb:Query", resource: tableArn },
      { action: "dynamodb:Query", resource: `${tableArn}/index/any` },
      { action: "dynamodb:DeleteTable", resource: tableArn },
      { action: "s3:ListBucket", resource: bucketArn },
      listing(""),
      listing("segments/"),
      listing("segments/a"),
      { action: "s3:PutBucketPolicy", resource: bucketArn },
    ];

    expect(whole.filter((request) => isAllowed(writing, request))).toEqual([]);
  });

  test("of a request for keys of two tenants allows nothing", () => {
    const both = { ...onPage("a", "GetItem"), context: { "dynamodb:LeadingKeys": ["a/run-1", "b/run-1"] } };

    expect(isAllowed(writing, both)).toBe(false);
  });

  test("grants nothing by a wildcard but the tenant's own keys", () => {
    expect(wildcardsOf(writing)).toEqual([]);
  });

  test.each(["", "*", "a*", "a?", "a/b", "${aws:username}", "A", "~store", "a".repeat(64)])(
    "is not made for %j, which no store takes for a tenant either",
    (tenant) => {
      expect(() => tenantPolicy({ tenant, bucketArn, tableArn })).toThrow(RangeError);
      expect(() => resolveTenant({ tenant })).toThrow("tenant must match");
    },
  );

  test.each([
    ["bucketArn", { bucketArn: "arn:aws:s3:::*" }],
    ["bucketArn", { bucketArn: `${bucketArn}/segments` }],
    ["tableArn", { tableArn: `${tableArn}*` }],
    ["tableArn", { tableArn: "*" }],
  ])("is not made for a %s of more than one thing", (_name, wrong) => {
    expect(() => tenantPolicy({ tenant: "a", bucketArn, tableArn, ...wrong })).toThrow(RangeError);
  });
});

describe("print-tenant-policy", () => {
  const print = (...args: readonly string[]): string =>
    execFileSync(process.execPath, [path.join(import.meta.dirname, "../../infra/print-tenant-policy.ts"), ...args], {
      encoding: "utf8",
      stdio: "pipe",
    });

  test("prints the policy as JSON", () => {
    const printed = print("--tenant", "acme", "--bucket-arn", bucketArn, "--table-arn", tableArn, "--write");

    expect(JSON.parse(printed)).toEqual(tenantPolicy({ tenant: "acme", bucketArn, tableArn, access: "write" }));
  });

  test("fails and says why where there is no tenant", () => {
    expect(() => print("--bucket-arn", bucketArn, "--table-arn", tableArn)).toThrow("expected a tenant");
  });
});
