/** An IAM policy document. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html */
export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly PolicyStatement[];
}

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Conditions;
}

type Conditions = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

export interface TenantPolicyOptions {
  readonly tenant: string;
  readonly bucketArn: string;
  readonly tableArn: string;
  /** `read` by default. */
  readonly access?: "read" | "write" | undefined;
}

/** The store's rule for tenants. None of its characters means anything to IAM: no `*`, no `?`, no `$`. */
const tenantPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * What credentials may do that are bound to one tenant: IAM then keeps it from every other, whatever the program does.
 *
 * The slash ends the tenant's name in partition keys and object keys, so `acme` reaches neither `acme-2` nor `ac`. Nothing
 * lists the table, and the bucket only below the tenant's own prefixes. `write` puts pages and objects; nobody removes any.
 *
 * @throws {RangeError} unless the tenant matches `[a-z0-9][a-z0-9-]{0,62}` and both ARNs are of one bucket and one table
 */
export function tenantPolicy({ tenant, bucketArn, tableArn, access = "read" }: TenantPolicyOptions): PolicyDocument {
  mustMatch(tenantPattern, tenant, "a tenant, [a-z0-9][a-z0-9-]{0,62}");
  mustMatch(/^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,62}$/, bucketArn, "the ARN of a bucket");
  mustMatch(/^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table\/[\w.-]{3,255}$/, tableArn, "the ARN of a table");
  const writes = access === "write";
  const prefixes = [`segments/${tenant}/*`, `uploads/${tenant}/*`];
  return {
    Version: "2012-10-17",
    Statement: [
      {
        // And the rows that its payloads are found by.
        Sid: "PagesOfTheTenant",
        Effect: "Allow",
        Action: ["dynamodb:GetItem", "dynamodb:Query", ...(writes ? ["dynamodb:PutItem"] : [])],
        Resource: [tableArn],
        Condition: leadingKeys("StringLike", `${tenant}/*`, `~find/${tenant}/*`),
      },
      {
        // The version of the layout, and the secret that ids are hashed with.
        Sid: "RowOfTheStore",
        Effect: "Allow",
        Action: ["dynamodb:GetItem"],
        Resource: [tableArn],
        Condition: leadingKeys("StringEquals", "~store"),
      },
      {
        Sid: "ObjectsOfTheTenant",
        Effect: "Allow",
        Action: ["s3:GetObject", ...(writes ? ["s3:PutObject"] : [])],
        Resource: prefixes.map((prefix) => `${bucketArn}/${prefix}`),
      },
      {
        // To see that the bucket is there, and that an object is not: for what compaction has replaced S3 answers 403 here.
        Sid: "AbsenceOfObjectsOfTheTenant",
        Effect: "Allow",
        Action: ["s3:ListBucket"],
        Resource: [bucketArn],
        Condition: { StringLike: { "s3:prefix": prefixes } },
      },
    ],
  };
}

/** `ForAllValues` also holds where a request names no key at all, so that there is one is asked for beside it. */
function leadingKeys(operator: "StringLike" | "StringEquals", ...keys: readonly string[]): Conditions {
  return {
    [`ForAllValues:${operator}`]: { "dynamodb:LeadingKeys": keys },
    Null: { "dynamodb:LeadingKeys": "false" },
  };
}

function mustMatch(pattern: RegExp, value: string, wanted: string): void {
  if (!pattern.test(value)) throw new RangeError(`expected ${wanted}; got ${JSON.stringify(value)}`);
}
