/** What a decoder of foreign bytes answers: the value, or what is wrong with the bytes. Decoders never throw on bytes. */
export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly damage: string };

export function decoded<T>(value: T): Decoded<T> {
  return { ok: true, value };
}

export function damaged(damage: string): { readonly ok: false; readonly damage: string } {
  return { ok: false, damage };
}
