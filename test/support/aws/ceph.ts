import { execFile } from "node:child_process";
import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { cephConfiguration } from "./ceph-configuration.ts";
import { cephDaemons } from "./ceph-daemons.ts";
import type { CephDaemons } from "./ceph-daemons.ts";
import { cephInstalled, installCeph } from "./ceph-installed.ts";
import { s3Clients } from "./s3-server.ts";
import type { S3Server } from "./s3-server.ts";

/**
 * Starts Ceph with its S3 gateway: one monitor, one store in memory, one gateway, all on free ports of the loopback, in a
 * temporary folder. Takes about 3 s and 300 MB.
 *
 * Clients compute checksums only where S3 requires them: this Ceph does not know how the SDK sends the others. See the
 * table `differences` in s3-differences.ts for what else tells it from S3.
 *
 * The daemons are children of this process, and die with it.
 *
 * @throws if Ceph is not installed, or does not start; the message names the packages.
 */
export async function startCeph(): Promise<S3Server> {
  if (!cephInstalled()) throw new Error(`Ceph is not installed: ${installCeph}`);

  const directory = mkdtempSync(path.join(tmpdir(), "paylode-ceph-"));
  const daemons = cephDaemons();
  try {
    const url = await startCluster(directory, daemons, AbortSignal.timeout(startMsMax));
    const clients = s3Clients(url, credentials, {
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    });
    const owner = clients.client();
    return {
      url,
      credentials,
      client: clients.client,
      async freshBucket() {
        const name = `test-${randomBytes(8).toString("hex")}`;
        await owner.send(new CreateBucketCommand({ Bucket: name }));
        return name;
      },
      async close() {
        clients.destroy();
        await daemons.stop();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  } catch (cause) {
    await daemons.stop();
    const text = `Ceph did not start; its logs are in ${directory}/log. Is all of it installed? ${installCeph}`;
    throw new Error(`${text}\n${(cause as Error).message}`, { cause });
  }
}

const credentials = { accessKeyId: "ceph", secretAccessKey: "secret-of-ceph" };

/** It takes one or two seconds on an idle machine. */
const startMsMax = 120_000;

const run = promisify(execFile);

/** @returns the gateway's URL, once it answers. */
async function startCluster(directory: string, daemons: CephDaemons, signal: AbortSignal): Promise<string> {
  const [monitorPort, gatewayPort] = [await freePort(), await freePort()];
  const cluster = randomUUID();
  const file = path.join(directory, "ceph.conf");
  for (const part of ["mon", "osd", "rgw", "log"]) mkdirSync(path.join(directory, part));
  writeFileSync(file, cephConfiguration({ directory, cluster, monitorPort, gatewayPort }));
  const configured = ["--conf", file];

  const map = path.join(directory, "monmap");
  const address = `[v1:127.0.0.1:${monitorPort}]`;
  await run("monmaptool", ["--create", "--fsid", cluster, "--addv", "a", address, map], { signal });
  await run("ceph-mon", [...configured, "--mkfs", "--id", "a", "--monmap", map], { signal });
  daemons.start("ceph-mon", [...configured, "--id", "a"]);

  const store = randomUUID();
  // A newborn monitor can refuse a command until it has formed its quorum.
  const { stdout } = await untilDone(signal, () => run("ceph", [...configured, "osd", "new", store], { signal }));
  const id = stdout.trim();
  await run("ceph-osd", [...configured, "--id", id, "--mkfs", "--osd-uuid", store], { signal });
  daemons.start("ceph-osd", [...configured, "--id", id]);
  daemons.start("radosgw", [...configured, "--name", "client.rgw"]);

  const user = ["--uid", "test", "--display-name", "test", "--access-key", credentials.accessKeyId];
  const secret = ["--secret-key", credentials.secretAccessKey];
  const create = [...configured, "--name", "client.rgw", "user", "create", ...user, ...secret];
  await untilDone(signal, () => run("radosgw-admin", create, { signal }));

  const url = `http://127.0.0.1:${gatewayPort}`;
  await untilDone(signal, () => fetch(url, { signal }));
  return url;
}

async function untilDone<Result>(signal: AbortSignal, attempt: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw error;
      await sleep(50);
    }
  }
}

/** Below the ports that the kernel hands out to connections, so that none of those takes it before the daemon does. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    probe.close();
    await once(probe, "close");
    return port;
  }
}
