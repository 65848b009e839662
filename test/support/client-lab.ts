import { createHash } from "node:crypto";
import { openClient, type ClientOptions, type Fetch, type PayloadClient } from "../../core/entries/client.ts";
import { openMemory } from "../../core/entries/memory.ts";
import type { PayloadStore, PayloadStoreOptions } from "../../core/payload-store.ts";
import { createApp } from "../../functions/app.ts";
import { loadedRoutes } from "../../functions/route-table.ts";
import { FaultyNetwork, type NetworkFault, type SentRequest } from "./faulty-fetch.ts";
import { VirtualTimers } from "./virtual-timers.ts";

// Time is virtual here, and would run out while the first request for a route loads it.
await loadedRoutes();

/** A client, the store it speaks to, and all that may come between them. */
export interface ClientLab {
  readonly client: PayloadClient;
  readonly store: PayloadStore;
  readonly network: FaultyNetwork;
  readonly timers: VirtualTimers;
}

export interface ClientLabOptions extends PayloadStoreOptions {
  /** Of each request in turn, or by a function; without one it gets through. */
  readonly faults?: readonly (NetworkFault | undefined)[] | ((request: SentRequest) => NetworkFault | undefined);
  readonly client?: Partial<ClientOptions>;
  /** Of four bytes of chance, as a fraction: by default the most. */
  readonly chance?: () => number;
  readonly server?: Fetch;
}

/** Time, chance and the network are the test's; keys count up, so that each is another one. */
export function clientLab({
  faults = [],
  client,
  chance = () => 1,
  server,
  ...options
}: ClientLabOptions = {}): ClientLab {
  const store = openMemory(options);
  const app = createApp(store);
  const script = typeof faults === "function" ? faults : (_request: SentRequest, number: number) => faults[number - 1];
  const timers = new VirtualTimers();
  const network = new FaultyNetwork(server ?? ((url, init) => app.request(url, init)), script, () => timers.nowMs());
  let keys = 0;
  const bytes = (length: number): Uint8Array => {
    const drawn = new Uint8Array(length);
    const value = length === 4 ? Math.floor(chance() * 0xffff_ffff) : (keys += 1);
    new DataView(drawn.buffer).setUint32(length - 4, value);
    return drawn;
  };
  const sha256 = async (data: Uint8Array) => new Uint8Array(createHash("sha256").update(data).digest());
  const platform = { fetch: network.fetch, timers, random: { bytes }, sha256 };
  return {
    client: openClient({ url: "http://paylode.test", tenant: "t", ...client }, platform),
    store,
    network,
    timers,
  };
}

export function keyOf({ init }: SentRequest): string | undefined {
  return init.headers["idempotency-key"];
}
