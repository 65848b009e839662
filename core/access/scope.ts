/** What a key may do with its tenant's payloads. `admin` is all of it, and what concerns the server as a whole. */
export const scopes = ["read", "write", "erase", "admin"] as const;

export type Scope = (typeof scopes)[number];

export function isScope(text: unknown): text is Scope {
  return scopes.some((scope) => scope === text);
}

export function allows(held: readonly Scope[], needed: Scope): boolean {
  return held.includes(needed) || held.includes("admin");
}
