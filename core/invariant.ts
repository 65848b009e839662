/**
 * States what the code relies on. A failure is a bug in Paylode, never bad input or damaged bytes: those are a
 * {@link PayloadStoreError}.
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}
