/** Bytes whose characters are put together at once: `String.fromCharCode` takes its arguments from the stack. */
const pieceBytes = 8192;

/** Standard alphabet, with padding. By `btoa`, which every platform has; `toBase64` is younger than Node 20. */
export function base64Of(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += pieceBytes)
    text += String.fromCharCode(...bytes.subarray(at, at + pieceBytes));
  return btoa(text);
}

/** @returns `undefined` when the text is not base64. */
export function bytesOfBase64(base64: string): Uint8Array | undefined {
  let text: string;
  try {
    text = atob(base64);
  } catch {
    return undefined;
  }
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
