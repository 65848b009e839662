import { describe, expect, test } from "vitest";
import { isAllowed, type Policy, wildcardsOf } from "../support/infra/iam.ts";

/** The evaluator that the tests of policies rest on, against what the documentation of IAM says about each part. */

const allow = { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::b/a/*" } as const;
const read = { action: "s3:GetObject", resource: "arn:aws:s3:::b/a/x" };

describe("a policy", () => {
  test("allows what a statement names, and nothing else", () => {
    const policy: Policy = { Statement: [allow] };

    expect(isAllowed(policy, read)).toBe(true);
    expect(isAllowed(policy, { ...read, action: "s3:getobject" })).toBe(true);
    expect(isAllowed(policy, { ...read, action: "s3:GetObjectAcl" })).toBe(false);
    expect(isAllowed(policy, { ...read, resource: "arn:aws:s3:::b/ab" })).toBe(false);
    expect(isAllowed(policy, { ...read, resource: "arn:aws:s3:::b/a/x/y" })).toBe(true);
    expect(isAllowed({ Statement: [] }, read)).toBe(false);
  });

  test("denies what any statement denies", () => {
    const deny = { Effect: "Deny", Action: "s3:*", Resource: "*" } as const;

    expect(isAllowed({ Statement: [allow, deny] }, read)).toBe(false);
    expect(isAllowed({ Statement: [deny, allow] }, read)).toBe(false);
  });

  test("takes dots and brackets of a pattern for themselves", () => {
    const policy: Policy = { Statement: [{ ...allow, Resource: "arn:aws:s3:::b.c/[a]?" }] };

    expect(isAllowed(policy, { ...read, resource: "arn:aws:s3:::b.c/[a]1" })).toBe(true);
    expect(isAllowed(policy, { ...read, resource: "arn:aws:s3:::bxc/[a]1" })).toBe(false);
    expect(isAllowed(policy, { ...read, resource: "arn:aws:s3:::b.c/a1" })).toBe(false);
  });

  test("holds a request to its conditions, and to a key that is missing", () => {
    const policy: Policy = { Statement: [{ ...allow, Condition: { StringLike: { "s3:prefix": ["a/*", "b/*"] } } }] };

    expect(isAllowed(policy, { ...read, context: { "s3:prefix": "b/1" } })).toBe(true);
    expect(isAllowed(policy, { ...read, context: { "s3:prefix": "c/1" } })).toBe(false);
    expect(isAllowed(policy, read)).toBe(false);
  });

  test("reads ForAllValues as AWS does: every value must match, and no value at all matches", () => {
    const keys = { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["a/*"] } };
    const open: Policy = { Statement: [{ ...allow, Condition: keys }] };
    const closed: Policy = {
      Statement: [{ ...allow, Condition: { ...keys, Null: { "dynamodb:LeadingKeys": "false" } } }],
    };

    for (const policy of [open, closed]) {
      expect(isAllowed(policy, { ...read, context: { "dynamodb:LeadingKeys": ["a/1", "a/2"] } })).toBe(true);
      expect(isAllowed(policy, { ...read, context: { "dynamodb:LeadingKeys": ["a/1", "b/1"] } })).toBe(false);
    }
    expect(isAllowed(open, read)).toBe(true);
    expect(isAllowed(closed, read)).toBe(false);
  });

  test("with an operator that is not known here is no policy that can be judged", () => {
    const policy: Policy = { Statement: [{ ...allow, Condition: { StringNotLike: { "s3:prefix": "a/*" } } }] };

    expect(() => isAllowed(policy, read)).toThrow("does not know the operator StringNotLike");
  });
});

describe("wildcards", () => {
  const table = "arn:aws:dynamodb:eu-central-1:123456789012:table/t";

  test.each([
    ["every action of a service", "s3:*", "arn:aws:s3:::b/segments/x"],
    ["a family of actions", "dynamodb:Batch*", table],
    ["everything there is", "s3:GetObject", "*"],
    ["all of a bucket", "s3:GetObject", "arn:aws:s3:::b/*"],
    ["every bucket", "s3:ListBucket", "arn:aws:s3:::*"],
    ["buckets that begin alike", "s3:GetObject", "arn:aws:s3:::paylode-*/segments/*"],
    ["keys that begin alike, without a slash", "s3:GetObject", "arn:aws:s3:::b/segments*"],
    ["every tenant's keys of a name", "s3:GetObject", "arn:aws:s3:::b/segments/*/x"],
    ["every table", "dynamodb:Query", "arn:aws:dynamodb:eu-central-1:123456789012:table/*"],
    ["a table's indexes", "dynamodb:Query", `${table}/index/*`],
    ["every log group", "logs:PutLogEvents", "arn:aws:logs:*:*:*"],
  ])("are found: %s", (_name, action, resource) => {
    const bad = { Effect: "Allow", Action: ["s3:PutObject", action], Resource: [resource] } as const;

    expect(wildcardsOf({ Statement: [allow, bad] })).toContain(`${action} on ${resource}`);
  });

  test("are fine behind a prefix of keys, behind a log group, and where they deny", () => {
    const policy: Policy = {
      Statement: [
        { ...allow, Resource: ["arn:aws:s3:::b/segments/*", "arn:aws:s3:::b/segments/a/*"] },
        { Effect: "Allow", Action: "dynamodb:Query", Resource: table },
        {
          Effect: "Allow",
          Action: "logs:PutLogEvents",
          Resource: "arn:aws:logs:eu-central-1:123456789012:log-group:/a:*",
        },
        { Effect: "Deny", Principal: "*", Action: "s3:*", Resource: "*" },
      ],
    };

    expect(wildcardsOf(policy)).toEqual([]);
  });
});
