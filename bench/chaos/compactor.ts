import { setTimeout as sleep } from "node:timers/promises";
import { RequestMeter } from "../../core/adapters/aws/request-meter.ts";
import { openAws } from "../../core/entries/aws.ts";
import { openAwsAccess } from "../../core/entries/aws-access.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { farewellMs, lambdaCompact } from "../../functions/lambda-compact.ts";
import { SeededRandom } from "../agent-trace-random.ts";
import { clientsOf, type StoreTask } from "./store-task.ts";
import { chaosTimes } from "./times.ts";

/** What a compactor is told when it starts, as its first argument. */
export interface CompactorTask extends StoreTask {
  readonly seed: number;
  /** Of its runs; with 0 another may begin while it is at work. */
  readonly leaseMs: number;
}

/** What it says: that a run begins, and what became of it. */
export type CompactorMessage =
  | { readonly kind: "began" }
  /** Nothing to say where another was at work. */
  | { readonly kind: "ended"; readonly line?: string | undefined }
  | { readonly kind: "failed"; readonly code: string }
  | { readonly kind: "broken"; readonly what: string };

const task = JSON.parse(process.argv[2] ?? "") as CompactorTask;
const { bucket, table, leaseMs } = task;
const random = new SeededRandom(task.seed);
const tell = (message: CompactorMessage) => process.send!(message);
process.on("disconnect", () => process.exit());
// The handler logs what made a run fail: faults do, all the time.
console.error = () => {};

/** The function that the schedule starts, invoked again and again as by that. */
let told: string | undefined;
let failure: unknown;
const clients = clientsOf(task);
const handler = lambdaCompact({
  backend: (remainingMs) => {
    const meter = new RequestMeter();
    meter.watch(clients.s3);
    meter.watch(clients.dynamo);
    const open = async () => {
      const machine = { compaction: { times: { ...chaosTimes, leaseMs } } };
      const store = await openAws({ bucket, table, clients, remainingMs }, machine).catch(noted);
      const compact = store.compact.bind(store);
      store.compact = (options) => compact(options).catch(noted);
      return { store, access: openAwsAccess({ table, client: clients.dynamo, remainingMs }) };
    };
    return { meter, open };
  },
  functionName: "chaos",
  write: (line) => (told = line),
});

for (let n = 1; ; n++) {
  await sleep(random.between(50, 600));
  tell({ kind: "began" });
  [told, failure] = [undefined, undefined];
  // Some runs end before the table does, and leave what they found to the next.
  const untilMs = performance.now() + farewellMs + random.pick([200, 1000, 5000]);
  const context = { awsRequestId: `${n}`, getRemainingTimeInMillis: () => untilMs - performance.now() };
  try {
    await handler({}, context);
    tell({ kind: "ended", line: told });
  } catch {
    if (isPayloadStoreError(failure, "UNAVAILABLE")) tell({ kind: "failed", code: failure.code });
    else tell({ kind: "broken", what: `compaction: ${failure instanceof Error ? failure.stack : String(failure)}` });
  }
}

/** The handler tells no messages. */
function noted(error: unknown): never {
  failure = error;
  throw error;
}
