import path from "node:path";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

const second = 1_000;

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "quick",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.ci.test.ts"],
          globalSetup: ["test/support/aws/announce-ceph.ts"],
          testTimeout: 60 * second,
          hookTimeout: 60 * second,
        },
      },
      {
        extends: true,
        test: {
          // Real processes, kills, and counts too large for every save.
          name: "ci",
          include: ["test/**/*.ci.test.ts"],
          env: { PAYLODE_TEST_TIER: "long" },
          testTimeout: 600 * second,
          hookTimeout: 600 * second,
        },
      },
    ],
    // A process per file: tests kill children, fill file descriptor tables and change signal handlers.
    pool: "forks",
    // A process that a test starts takes a quarter of the time when another has compiled the same files before.
    env: { NODE_COMPILE_CACHE: path.join(import.meta.dirname, "node_modules/.cache/compiled") },
    // By default one core is left to Vitest itself, which has next to nothing to do: on two cores half the speed.
    maxWorkers: "100%",
    sequence: { sequencer: LongestFirst },
    coverage: {
      provider: "v8",
      include: ["core/**/*.ts", "functions/**/*.ts", "cli/**/*.ts"],
    },
  },
});
