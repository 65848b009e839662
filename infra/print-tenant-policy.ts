import { parseArgs } from "node:util";
import { tenantPolicy } from "./tenant-policy.ts";

/** `node infra/print-tenant-policy.ts --tenant acme --bucket-arn ARN --table-arn ARN [--write]` prints the policy as JSON. */
const { values } = parseArgs({
  options: {
    tenant: { type: "string", default: "" },
    "bucket-arn": { type: "string", default: "" },
    "table-arn": { type: "string", default: "" },
    write: { type: "boolean", default: false },
  },
});

try {
  const policy = tenantPolicy({
    tenant: values.tenant,
    bucketArn: values["bucket-arn"],
    tableArn: values["table-arn"],
    access: values.write ? "write" : "read",
  });
  console.log(JSON.stringify(policy, undefined, 2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
