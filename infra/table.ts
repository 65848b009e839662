import { restoreWindowDays } from "./restore-window.ts";
import { settings } from "./stage.ts";

/** What the handlers ask of the table, and all that they may. */
export const tableOperations = ["GetItem", "PutItem", "Query", "UpdateItem"] as const;

/**
 * The pages of every group; and keys, usage and the store's own settings in partitions that begin with `~`.
 *
 * No attribute expires rows. An inline page is the only copy of its payloads, and a clock must never remove it. Rows are
 * encrypted at rest, as DynamoDB always does, with a key that it owns.
 */
export const table = new sst.aws.Dynamo("Table", {
  fields: { pk: "string", sk: "number" },
  primaryIndex: { hashKey: "pk", rangeKey: "sk" },
  deletionProtection: settings.production,
  transform: {
    table: (args) => {
      // On demand: agents come in bursts, and what nobody calls costs nothing.
      args.billingMode = "PAY_PER_REQUEST";
      args.pointInTimeRecovery = { enabled: true, recoveryPeriodInDays: restoreWindowDays };
    },
  },
});
