/**
 * The suites that say what the ports of Paylode promise, for whoever writes an adapter: `paylode/conformance`.
 *
 * Each takes a function that opens what is to be tested, and the runner's `describe` and `test`; vitest where none are
 * given. They assert with `node:assert`, so they run under any runner.
 */
export { codecSuite, type CodecSuite } from "./codec.suite.ts";
export { offsetIndexSuite, type OffsetIndexSuite, type OffsetIndexUnderTest } from "./offset-index.suite.ts";
export {
  payloadStoreSuite,
  type PayloadStoreSuite,
  type PayloadStoreSupport,
  type StoreUnderTest,
} from "./payload-store.suite.ts";
export { segmentStoreSuite, type SegmentStoreSuite, type SegmentStoreUnderTest } from "./segment-store.suite.ts";
export type { TestFunctions } from "./test-functions.ts";
