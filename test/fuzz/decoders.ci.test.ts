import { describeDecoderFuzz } from "../support/fuzz/decoder-fuzz-suite.ts";

// 100,000 and more: `npm run soak`.
describeDecoderFuzz("ci", "test/fuzz/decoders.ci.test.ts", 20_000);
