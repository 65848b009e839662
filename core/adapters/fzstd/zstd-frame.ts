import { decompress } from "fzstd";
import { view } from "../../bytes.ts";

const magic = 0xfd2fb528;
const dictionaryFlags = 0x03;
const singleSegmentFlag = 0x20;

/**
 * Decodes one Zstandard frame (RFC 8878) to exactly `rawBytes` bytes, allocating little more than that, where there is no
 * zlib.
 *
 * The frame must carry its content size, as ours do: fzstd fills the room it is given without saying how much of it, and
 * without a room believes the header. It checks no checksum: whoever asks compares a hash of the answer.
 * @returns `undefined` when the bytes are no such frame
 */
export function decodeZstdFrame(frame: Uint8Array, rawBytes: number): Uint8Array | undefined {
  if (contentSizeOf(frame) !== rawBytes) return undefined;
  try {
    return decompress(frame, new Uint8Array(rawBytes));
  } catch {
    return undefined;
  }
}

/** The frame header's content size; `undefined` where it has none, needs a dictionary, or is no frame's. RFC 8878 §3.1.1.1. */
function contentSizeOf(frame: Uint8Array): number | undefined {
  const data = view(frame);
  if (frame.length < 9 || data.getUint32(0, true) !== magic) return undefined;
  const descriptor = data.getUint8(4);
  if (descriptor & dictionaryFlags) return undefined;
  const isSingleSegment = (descriptor & singleSegmentFlag) !== 0;
  // Without it a byte about the window comes first.
  const at = isSingleSegment ? 5 : 6;
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? data.getUint8(at) : undefined;
    case 1:
      return data.getUint16(at, true) + 256;
    case 2:
      return frame.length < at + 4 ? undefined : data.getUint32(at, true);
    default:
      // Eight bytes are for frames beyond 4 GiB.
      return undefined;
  }
}
