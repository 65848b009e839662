import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import type { AwsPlace } from "./aws-under-test.ts";
import type { DynamoFaultKind } from "./dynamo-server.ts";
import type { Fault } from "./faults.ts";
import type { FaultyServers } from "./handlers.ts";
import type { S3FaultKind } from "./s3-double.ts";

const dynamoFaults: readonly DynamoFaultKind[] = [
  "reset",
  "internal-error",
  "throughput-exceeded",
  "throttling",
  "hold",
];
const s3Faults: readonly S3FaultKind[] = ["reset", "internal-error", "slow-down", "hold"];

/** Plans a fault of any kind for one of the next requests at a place. What it holds it lets go soon after. */
export function planFault(
  servers: FaultyServers,
  { bucket, table }: AwsPlace,
  random: SeededRandom,
  within: number,
): Fault {
  const when = random.pick(["before", "after"] as const);
  const nth = random.between(1, within);
  // Struck some times in a row, so that also the tries of an SDK are used up.
  const times = random.pick([1, 1, 1, 2, 5]);
  const fault = random.chance(0.7)
    ? servers.dynamo.fault({ kind: random.pick(dynamoFaults), when, nth, times, resource: table })
    : servers.s3.fault({ kind: random.pick(s3Faults), when, nth: Math.ceil(nth / 8), times, resource: bucket });
  const heldMs = random.between(1, 60);
  void fault.struck.then(() => setTimeout(() => fault.release(), heldMs));
  return fault;
}
