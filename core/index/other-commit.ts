import { bytesEqual } from "../bytes.ts";
import { decodePage, type Page } from "../page/page.ts";

/** Whether an encoded page is another commit's than a page that has its sequence. What cannot be read is taken for the same. */
export function isOtherCommit(encoded: Uint8Array | undefined, { commitId }: Page): boolean {
  const read = encoded && decodePage(encoded);
  return read?.ok === true && !bytesEqual(read.value.commitId, commitId);
}
