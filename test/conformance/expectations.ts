import assert from "node:assert/strict";
import { isPayloadStoreError, type ErrorCode, type PayloadStoreError } from "../../core/errors.ts";

/** Asserts that a call rejects with one of these codes of the store's own error, and returns that error. */
export async function rejectsWith(
  codes: ErrorCode | readonly ErrorCode[],
  call: () => unknown,
): Promise<PayloadStoreError> {
  let answer: unknown;
  try {
    answer = await call();
  } catch (error) {
    assert.ok(isPayloadStoreError(error), `expected a PayloadStoreError, got ${String(error)}`);
    const expected = typeof codes === "string" ? [codes] : codes;
    assert.ok(expected.includes(error.code), `expected ${expected.join(" or ")}, got ${error.code}: ${error.message}`);
    return error;
  }
  assert.fail(`expected ${String(codes)}, got an answer: ${String(answer).slice(0, 80)}`);
}

/** Asserts the same bytes. Unlike `deepEqual` it takes any view of them, and does not print megabytes. */
export function sameBytes(actual: Uint8Array | undefined, expected: Uint8Array, what = "payload"): void {
  assert.ok(actual, `${what}: expected ${expected.length} bytes, got nothing`);
  assert.equal(actual.length, expected.length, `${what}: length`);
  if (Buffer.compare(actual, expected) === 0) return;
  const differs = actual.findIndex((byte, i) => byte !== expected[i]);
  assert.fail(`${what}: byte ${differs} is ${actual[differs]}, expected ${expected[differs]}`);
}

/** Everything an iteration gives, in its order. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
