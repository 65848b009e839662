import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Measure } from "../../access/access-key.ts";
import { windowAt, windowMs } from "../../access/quota-window.ts";
import { PayloadStoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { UsageClaim, UsageGrant, UsageLedger } from "../../ports/usage-ledger.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { keyItem } from "./key-item.ts";
import { onServerTime } from "./server-time.ts";

export interface DynamoUsageLedgerOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly deadline: Deadline;
}

const windowIsCurrent = "#window = :window AND #used <= :room";
const windowIsOver = "attribute_not_exists(#window) OR #window < :window";

const addUnits = "SET #used = #used + :units";
const beginWindow = "SET #window = :window, #used = :units";

/** Of each measure: the number of its newest window, and the units that were taken from that. */
const attributes: Readonly<Record<Measure, { readonly window: string; readonly used: string }>> = {
  requestsPerMinute: { window: "rw", used: "ru" },
  bytesPerDay: { window: "bw", used: "bu" },
};

/** What a key's item says of a measure. */
interface Count {
  readonly window: number;
  readonly used: number;
}

/**
 * Use of quotas in a DynamoDB table: one item a key, `~usage/<tenant>` and the key's id, which is written over when its window
 * ends. docs/aws.md.
 *
 * A window is begun by the time that the table's server says it is, never by a handler's clock. An update whose answer is lost is
 * sent again and counts twice, so of a window never too much is granted.
 *
 * Cost: one write of one unit; one more to begin a window, and to take what little is left of one.
 */
export class DynamoUsageLedger implements UsageLedger {
  readonly #options: DynamoUsageLedgerOptions;

  constructor(options: DynamoUsageLedgerOptions) {
    this.#options = options;
  }

  async take(claim: UsageClaim): Promise<UsageGrant> {
    const { measure, limit } = claim;
    let { units, nowMs } = claim;
    let window = windowAt(measure, nowMs);
    const update = async (condition: string, change: string): Promise<Count | undefined> => {
      const outcome = await this.#update(claim, condition, change, { window, units });
      nowMs = outcome.nowMs ?? nowMs;
      return outcome.failed;
    };
    for (let attempt = 0; attempt < limits.commitAttemptsMax; attempt++) {
      const taken = (): UsageGrant => ({ window, units, nowMs: Math.max(nowMs, window * windowMs[measure]) });
      let failed = await update(windowIsCurrent, addUnits);
      if (failed === undefined) return taken();
      // By now the server has said what time it is.
      window = windowAt(measure, nowMs);
      if (failed.window < window) {
        failed = await update(windowIsOver, beginWindow);
        if (failed === undefined) return taken();
      }
      // What the item held when the condition failed. Somebody may have taken from it since, so it is only a guess.
      window = Math.max(window, failed.window);
      if (failed.window === window) units = Math.max(0, Math.min(units, limit - failed.used));
      if (units === 0) return taken();
    }
    const message = `${limits.commitAttemptsMax} tries to take from the ${measure} of key ${claim.id} lost against others`;
    throw new PayloadStoreError("UNAVAILABLE", message);
  }

  /** @returns what the item held, unless it took effect; and the time by the server */
  async #update(
    claim: UsageClaim,
    condition: string,
    change: string,
    { window, units }: { readonly window: number; readonly units: number },
  ): Promise<{ readonly failed?: Count; readonly nowMs: number | undefined }> {
    const { client, table, deadline } = this.#options;
    const names = attributes[claim.measure];
    const room = condition === windowIsCurrent ? { ":room": { N: String(claim.limit - units) } } : {};
    const command = new UpdateItemCommand({
      TableName: table,
      Key: keyItem("usage", claim),
      ConditionExpression: condition,
      UpdateExpression: change,
      ExpressionAttributeNames: { "#window": names.window, "#used": names.used },
      ExpressionAttributeValues: { ":window": { N: String(window) }, ":units": { N: String(units) }, ...room },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      ReturnConsumedCapacity: "TOTAL",
    });
    let nowMs: number | undefined;
    onServerTime(command.middlewareStack, (toldMs) => (nowMs = toldMs));
    try {
      await client.send(command, deadline.options());
      return { nowMs };
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) {
        throw awsError(error, `counting the use of a key in table ${table} failed`);
      }
      const [held, used] = [numberIn(error.Item, names.window) ?? -1, numberIn(error.Item, names.used) ?? 0];
      return { failed: { window: held, used }, nowMs };
    }
  }
}

function numberIn(item: Record<string, AttributeValue> | undefined, name: string): number | undefined {
  const text = item?.[name]?.N;
  return text === undefined ? undefined : Number(text);
}
