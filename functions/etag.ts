/** An etag as HTTP spells it. Ours are strong: the same etag means the same bytes. */
export function quoted(etag: string): string {
  return `"${etag}"`;
}

/** If-None-Match: `*`, or a list of which one is ours. Weak comparison, as RFC 9110 §13.1.2 asks for. */
export function listsEtag(header: string, etag: string): boolean {
  if (header.trim() === "*") return true;
  return [...header.matchAll(/(?:W\/)?"([^"]*)"/g)].some(([, listed]) => listed === etag);
}
