import { PayloadStoreError } from "./errors.ts";
import type { Codec } from "./ports/codec.ts";

/** Stores blocks as they are. */
export const noneCodec: Codec = {
  name: "none",
  code: 0,
  encode: (raw) => raw,
  decode(stored, rawBytes) {
    if (stored.length === rawBytes) return stored;
    throw new PayloadStoreError("CORRUPT", `block stored as it is has ${stored.length} bytes, expected ${rawBytes}`);
  },
};
