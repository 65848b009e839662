import { existsSync } from "node:fs";
import path from "node:path";
import { env } from "node:process";

/** How a Debian machine comes by Ceph; what else is needed (`ceph`, `radosgw-admin`, `monmaptool`) comes with them. */
export const installCeph = "apt-get install --no-install-recommends radosgw ceph-mon ceph-osd";

/** Whether all that `startCeph` runs is on this machine. */
export function cephInstalled(): boolean {
  const directories = (env["PATH"] ?? "").split(path.delimiter);
  return ["setpriv", "monmaptool", "ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin"].every((program) =>
    directories.some((directory) => existsSync(path.join(directory, program))),
  );
}
