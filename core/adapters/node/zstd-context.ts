import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync } from "node:zlib";

/**
 * A zstd context that is used again for every frame.
 *
 * The one-shot calls of node:zlib make a context for each call, which costs 20 µs to read a frame and 35 µs to write one:
 * most of the work on a small block, and half of it at 64 KiB (docs/decisions/0020). No documented call keeps one. So this stands on the binding
 * beneath Node's zstd streams, as minizlib, and npm by it, does. What is undocumented may change: {@link zstdEncoder} and
 * {@link zstdDecoder} try what they are about to rely on, and answer nothing where it is not so. Whoever gets nothing, or
 * gets no answer for a frame, calls the one-shot functions: the frames are the same, bit for bit.
 */
export interface ZstdContext {
  /**
   * Encodes or decodes one whole frame.
   * @param output  at least one byte longer than what is written
   * @returns how many bytes were written; `undefined` if the frame is damaged, ends before `input` does, or does not fit
   */
  run(input: Uint8Array, output: Uint8Array): number | undefined;

  /** Begins anew: a frame that stopped half done would be continued by the next one. */
  reset(): void;
}

/** What an encoder's output needs at most, with the byte by which it shows that it is done; ZSTD_COMPRESSBOUND in zstd.h. */
export function encodedBytesMax(rawBytes: number): number {
  return rawBytes + (rawBytes >>> 8) + 128;
}

export function zstdEncoder(level: number): ZstdContext | undefined {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const encoder = new BindingContext(() => createZstdCompress({ params }));
  return works(encoder, (raw) => ({
    input: raw,
    expected: zstdCompressSync(raw, { params, pledgedSrcSize: raw.length }),
  }));
}

/** Makes encoders of frames that all have one dictionary, which it takes a copy of and reads once: 0.14 ms. */
export function zstdEncodersOnBases(level: number): ((base: Uint8Array) => ZstdContext) | undefined {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const make = (base: Uint8Array): ZstdContext => {
    const dictionary = Buffer.from(base);
    return new BindingContext(() => createZstdCompress({ params, dictionary }));
  };
  const sample = sampleBytes.at(-1)!;
  const tried = works(make(sample), (raw) => ({
    input: raw,
    expected: zstdCompressSync(raw, { params, dictionary: sample, pledgedSrcSize: raw.length }),
  }));
  return tried && make;
}

export function zstdDecoder(): ZstdContext | undefined {
  const decoder = new BindingContext(() => createZstdDecompress());
  return works(decoder, (raw) => ({ input: zstdCompressSync(raw), expected: raw }));
}

/** What is used of lib/zlib.js and src/node_zlib.cc; the same in Node 24.6 to 24.21. */
interface ZstdStream {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Uint8Array,
      inputOffset: number,
      inputBytes: number,
      output: Uint8Array,
      outputOffset: number,
      outputBytes: number,
    ): void;
    onerror: () => void;
  };
  /** After each write that succeeded: what is left of the output, and of the input. */
  readonly _writeState: Uint32Array;
  destroy(): void;
}

class BindingContext implements ZstdContext {
  readonly #open: () => unknown;
  #stream: ZstdStream | undefined;

  constructor(open: () => unknown) {
    this.#open = open;
  }

  run(input: Uint8Array, output: Uint8Array): number | undefined {
    this.#stream ??= this.#begin();
    const { _handle: handle, _writeState: left } = this.#stream;
    left.fill(unwritten);
    handle.writeSync(constants.ZSTD_e_end, input, 0, input.length, output, 0, output.length);
    const [outputLeft = unwritten, inputLeft = unwritten] = left;
    if (inputLeft === 0 && outputLeft > 0 && outputLeft <= output.length) return output.length - outputLeft;
    this.reset();
    return undefined;
  }

  reset(): void {
    this.#stream?.destroy();
    this.#stream = undefined;
  }

  #begin(): ZstdStream {
    const stream = this.#open() as ZstdStream;
    // The stream's own handler would emit an error that nobody listens for, and end the process.
    stream._handle.onerror = () => {};
    return stream;
  }
}

const unwritten = 0xffff_ffff;

/** Answers the context if frames in a row, and one behind a damaged one, come out as the one-shot calls have them. */
function works(
  context: ZstdContext,
  sample: (raw: Uint8Array) => { readonly input: Uint8Array; readonly expected: Uint8Array },
): ZstdContext | undefined {
  const output = new Uint8Array(1024);
  const comesOut = (raw: Uint8Array): boolean => {
    const { input, expected } = sample(raw);
    const bytes = context.run(input, output);
    return bytes !== undefined && Buffer.compare(output.subarray(0, bytes), expected) === 0;
  };
  try {
    const whole = sampleBytes.every(comesOut);
    context.run(sampleBytes[0]!, output.subarray(0, 2));
    return whole && sampleBytes.every(comesOut) ? context : undefined;
  } catch {
    return undefined;
  }
}

const sampleBytes = ["abc", "a".repeat(40), "Where is my order? Where is my other order? ".repeat(9)].map((text) =>
  new TextEncoder().encode(text),
);
