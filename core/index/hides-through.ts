import type { Page } from "../page/page.ts";

/** Pages of its group up to this sequence are not needed any more once a page is committed; 0 for none. */
export function hidesThrough({ sequence }: { readonly sequence: number }, page: Page): number {
  return page.clearsGroup ? sequence - 1 : (page.merged?.through ?? 0);
}
