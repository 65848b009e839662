/** An error as node:fs throws it: the code is the API, the message says what was tried. */
export function platformError(code: string, call: string, path?: string): Error {
  return Object.assign(new Error(`${code}: ${call}${path === undefined ? "" : ` '${path}'`}`), {
    code,
    syscall: call,
    path,
  });
}
