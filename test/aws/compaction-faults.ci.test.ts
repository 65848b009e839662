import { afterAll } from "vitest";
import { compactionFaultSuite } from "../support/aws/compaction-fault-suite.ts";
import { startWithMovedClock } from "../support/aws/moved-clock.ts";

const clock = await startWithMovedClock();
afterAll(() => clock.close());

await compactionFaultSuite(clock, 1);
