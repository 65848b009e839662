import { compactionCodec, ZstdCodec } from "../../core/adapters/node/zstd-codec.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { codecSuite } from "../conformance/index.ts";

for (const codec of Object.values(nodeCodecs)) await codecSuite({ name: codec.name, codec });
await codecSuite({ name: "zstd without contexts", codec: new ZstdCodec({ contexts: false }) });
await codecSuite({ name: "zstd of compaction", codec: compactionCodec(3) });
