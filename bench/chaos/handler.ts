import { openAws } from "../../core/entries/aws.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { type Operation, type OperationAnswer, runOperation } from "../../test/support/aws/operations.ts";
import { clientsOf, type StoreTask } from "./store-task.ts";

/** What a handler is told when it starts, as its first argument. */
export type HandlerTask = StoreTask;

/** What it says: that it waits for an operation, what became of one, or that it cannot go on. */
export type HandlerMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "answered"; readonly answer: OperationAnswer }
  | { readonly kind: "failed"; readonly code: string }
  | { readonly kind: "broken"; readonly what: string };

const task = JSON.parse(process.argv[2] ?? "") as HandlerTask;
const { bucket, table } = task;
const tell = (message: HandlerMessage) => process.send!(message);
// Whoever it works for has ended.
process.on("disconnect", () => process.exit());

try {
  const store = await openAws({ bucket, table, clients: clientsOf(task) });
  process.on("message", (operation: Operation) => void run(operation));
  tell({ kind: "ready" });

  async function run(operation: Operation): Promise<void> {
    try {
      tell({ kind: "answered", answer: await runOperation(store, operation) });
    } catch (error) {
      if (isPayloadStoreError(error)) tell({ kind: "failed", code: error.code });
      else tell({ kind: "broken", what: String(error) });
    }
  }
} catch (error) {
  // Opening failed as often as it was tried: another handler takes its place.
  if (!isPayloadStoreError(error, "UNAVAILABLE")) tell({ kind: "broken", what: String(error) });
  process.exit(0);
}
