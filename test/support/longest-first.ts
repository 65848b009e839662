import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Starts the files that take longest first, so that none of them still runs alone when all others are done. By itself Vitest
 * knows what takes long only where it has run before; in a fresh clone it goes by the length of a file.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = longest.findIndex((file) => moduleId.endsWith(`/test/${file}`));
      return place < 0 ? longest.length : place;
    };
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

const longest: readonly string[] = [
  "properties/payload-store.ci.test.ts",
  "aws/conformance.ci.test.ts",
  "infra/infra.ci.test.ts",
  "aws/faults.ci.test.ts",
  "readme.ci.test.ts",
  "find/find.properties.ci.test.ts",
  "durability/bit-flips.ci.test.ts",
  "http/volume.ci.test.ts",
  "aws/handlers.ci.test.ts",
  "durability/power-loss.ci.test.ts",
  "adapters/disk-hash.conformance.ci.test.ts",
  "lsm/lane-map.properties.ci.test.ts",
  "durability/index-flips.ci.test.ts",
  "durability/kill.ci.test.ts",
  "cli/cli.ci.test.ts",
  "package.ci.test.ts",
  "durability/index-faults.ci.test.ts",

  "aws/conformance.test.ts",
  "cli/cli.test.ts",
  "aws/faults.test.ts",
  "access/keys-command.test.ts",
  "cli/remote.test.ts",
  "adapters/disk.conformance.test.ts",
  "durability/power-loss.test.ts",
  "lambda/http-api.test.ts",
  "find/find.properties.test.ts",
  "adapters/disk-hash.conformance.test.ts",
];
