import { afterAll } from "vitest";
import { awsFaultSuite } from "../support/aws/fault-suite.ts";
import { longWorkload } from "../support/aws/fault-workload.ts";
import { startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(servers.close);

await awsFaultSuite({ servers, workload: longWorkload });
