import { describe, expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { createApp } from "../../functions/app.ts";
import { storeFolder } from "../support/crash-workload.ts";
import { simulatedMachine } from "../support/machine.ts";
import { faultyFileSystem } from "../support/faulty-file-system.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const at = (id: string) => `/v1/acme/groups/g/payloads/${id}`;

describe("a server whose disk is full", () => {
  test("refuses the write, says so on /healthz, serves what it has, and goes on after a restart", async () => {
    const disk = new PowerLossFileSystem({ random: seededRandom(1) });
    const plan = { failAt: Infinity, how: "before", code: "ENOSPC" } as { failAt: number; how: "before"; code: string };
    const fs = faultyFileSystem(disk, plan);
    const store = await openDisk({ directory: storeFolder }, simulatedMachine(fs, 1));
    const app = createApp(store);
    expect((await app.request(at("a"), { method: "PUT", body: "first" })).ok).toBe(true);
    expect((await app.request("/healthz")).status).toBe(200);

    plan.failAt = fs.steps + 1;
    const refused = await app.request(at("b"), { method: "PUT", body: "second" });

    expect(fs.failed).toMatch(/^write /);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({
      code: "UNAVAILABLE",
      detail: expect.stringContaining("disk is full"),
    });
    const health = await app.request("/healthz");
    expect(health.status).toBe(503);
    expect(await health.json()).toMatchObject({ code: "UNAVAILABLE", detail: expect.stringContaining("disk is full") });
    expect(await (await app.request(at("a"))).text()).toBe("first");
    expect((await app.request(at("c"), { method: "PUT", body: "third" })).status).toBe(503);
    await store.close().catch(() => {});

    const again = createApp(await openDisk({ directory: storeFolder }, simulatedMachine(disk, 2)));
    expect((await again.request("/healthz")).status).toBe(200);
    expect(await (await again.request(at("a"))).text()).toBe("first");
    expect((await again.request(at("b"))).status).toBe(404);
    expect((await again.request(at("c"), { method: "PUT", body: "third" })).ok).toBe(true);
  });
});
