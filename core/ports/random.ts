/** Chance, from a cryptographic source in production and from a seed in tests. */
export interface Random {
  /** @returns `length` fresh random bytes, owned by the caller. */
  bytes(length: number): Uint8Array;
}
