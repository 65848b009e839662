import { execFile, execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
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
import { s3Clients } from "./s3-server.ts";
import type { S3Server } from "./s3-server.ts";

/** How a Debian machine comes by Ceph; what else is needed (`ceph`, `radosgw-admin`, `monmaptool`) comes with them. */
export const installCeph = "apt-get install --no-install-recommends radosgw ceph-mon ceph-osd";

/** Whether all that {@link startCeph} runs is on this machine. */
export function cephInstalled(): boolean {
  try {
    for (const program of ["setpriv", "ceph-mon", "ceph-osd", "radosgw"]) {
      execFileSync(program, ["--version"], { stdio: "ignore" });
    }
    return true;
  } catch {
    return false;
  }
}

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
  const daemons: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    for (const daemon of daemons.toReversed()) await stopDaemon(daemon);
  };
  try {
    const url = await startDaemons(directory, daemons);
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
        await stop();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  } catch (cause) {
    await stop();
    throw new Error(
      `Ceph did not start. Its logs are in ${directory}; is it whole? ${installCeph}\n${(cause as Error).message}`,
      { cause },
    );
  }
}

const credentials = { accessKeyId: "ceph", secretAccessKey: "secret-of-ceph" };

const run = promisify(execFile);

/** @returns the gateway's URL, once it answers. */
async function startDaemons(directory: string, daemons: ChildProcess[]): Promise<string> {
  const [monitorPort, gatewayPort] = [await freePort(), await freePort()];
  const cluster = randomUUID();
  const file = path.join(directory, "ceph.conf");
  for (const part of ["mon", "osd", "rgw", "log"]) mkdirSync(path.join(directory, part));
  writeFileSync(file, cephConfiguration({ directory, cluster, monitorPort, gatewayPort }));
  const configured = ["--conf", file];
  const start = (program: string, ...options: readonly string[]): void => {
    // The kernel ends the daemon when its parent ends, however that happens.
    const args = ["--pdeathsig", "KILL", program, "--foreground", ...configured, ...options];
    daemons.push(spawn("setpriv", args, { stdio: "ignore" }));
  };

  const map = path.join(directory, "monmap");
  const address = `[v1:127.0.0.1:${monitorPort}]`;
  await run("monmaptool", ["--create", "--fsid", cluster, "--addv", "a", address, map]);
  await run("ceph-mon", [...configured, "--mkfs", "--id", "a", "--monmap", map]);
  start("ceph-mon", "--id", "a");

  const store = randomUUID();
  // A newborn monitor can refuse a command until it has formed its quorum.
  const newStore = [...configured, "osd", "new", store];
  const { stdout } = await untilDone(daemons, () => run("ceph", newStore, { timeout: 20_000 }));
  const id = stdout.trim();
  await run("ceph-osd", [...configured, "--id", id, "--mkfs", "--osd-uuid", store]);
  start("ceph-osd", "--id", id);
  start("radosgw", "--name", "client.rgw");

  const user = ["--uid", "test", "--display-name", "test", "--access-key", credentials.accessKeyId];
  const secret = ["--secret-key", credentials.secretAccessKey];
  await run("radosgw-admin", [...configured, "--name", "client.rgw", "user", "create", ...user, ...secret]);

  const url = `http://127.0.0.1:${gatewayPort}`;
  await untilDone(daemons, () => fetch(url));
  return url;
}

/** Tries again for 30 s, as long as all daemons live. */
async function untilDone<Result>(daemons: readonly ChildProcess[], attempt: () => Promise<Result>): Promise<Result> {
  const deadlineMs = performance.now() + 30_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const dead = daemons.find(hasEnded);
      if (dead !== undefined) throw new Error(`it ended: ${dead.spawnargs.join(" ")}`, { cause: error });
      if (performance.now() > deadlineMs) throw error;
      await sleep(50);
    }
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
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

/** At once: all it has is in memory. */
async function stopDaemon(daemon: ChildProcess): Promise<void> {
  if (hasEnded(daemon)) return;
  const exited = once(daemon, "exit");
  daemon.kill("SIGKILL");
  await exited;
}
