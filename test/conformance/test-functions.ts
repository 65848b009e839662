/** The part of a test runner that the suites need: vitest, jest and node:test have it under these names. */
export interface TestFunctions {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly test: (name: string, body: () => Promise<void>) => unknown;
}

/** The runner that was given, vitest where none was. */
export async function testFunctions(given: TestFunctions | undefined): Promise<TestFunctions> {
  // Only where nobody gave another runner, so that the package needs none.
  // oxlint-disable-next-line eslint/no-restricted-imports
  return given ?? (await import("vitest"));
}
