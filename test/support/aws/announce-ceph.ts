import { cephInstalled, installCeph } from "./ceph-installed.ts";

/** Run by vitest before the quick tests: says in one line what they leave out on this machine. */
export function setup(): void {
  if (cephInstalled()) return;
  console.log(`S3 is tested on a double of our own; for Ceph's gateway too: ${installCeph}, then npm run test:ci`);
}
