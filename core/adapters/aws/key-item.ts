/** What the table keeps besides the pages: access keys, what of their quotas is used, and erasures. */
export type KeyItemKind = "keys" | "usage" | "erasures";

/** A tenant's partition. No partition of payloads begins with `~`, since no tenant's name does. */
export function keyPartition(kind: KeyItemKind, tenant: string): string {
  return `~${kind}/${tenant}`;
}

/** The primary key of a key's item: its id, 48 bits in hex, is the sort key as a number. */
export function keyItem(
  kind: KeyItemKind,
  { tenant, id }: { readonly tenant: string; readonly id: string },
): { readonly pk: { readonly S: string }; readonly sk: { readonly N: string } } {
  return { pk: { S: keyPartition(kind, tenant) }, sk: { N: String(Number.parseInt(id, 16)) } };
}
