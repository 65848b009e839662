import { RequestMeter } from "../../../core/adapters/aws/request-meter.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { listPrices, type AwsOptions } from "../../../core/entries/aws.ts";
import { isPayloadStoreError } from "../../../core/errors.ts";
import type { PayloadStore } from "../../../core/payload-store.ts";
import { offsetIndexSuite, payloadStoreSuite, segmentStoreSuite } from "../../conformance/index.ts";
import { freshPlace, openAt, portsAt, type AwsServers } from "./aws-under-test.ts";

/** Every way in which commits may be placed: as prices say, always in segments, always in rows where they fit. */
const placements = {
  "by price": {},
  "segments alone": { placement: "segments" },
  "rows before segments": { prices: { ...listPrices, objectPut: 1 } },
  "by price, and compacted after each write": {},
} as const satisfies Record<string, Partial<AwsOptions>>;

/** Every suite of the ports, on S3 and DynamoDB as `servers` speaks them. */
export async function awsPortsConformance(name: string, servers: AwsServers, scale: number): Promise<void> {
  await segmentStoreSuite({
    name,
    digest: nodeDigest,
    open: async () => {
      const { segments } = portsAt(servers, await freshPlace(servers));
      return { segments, end: () => segments.close() };
    },
  });

  await offsetIndexSuite({
    name,
    digest: nodeDigest,
    writers: "many",
    scale,
    open: async () => {
      const { segments, index } = portsAt(servers, await freshPlace(servers));
      return { segments, index, end: () => segments.close() };
    },
  });
}

/** The suite of the store, for some placements. */
export async function awsStoreConformance(
  name: string,
  servers: AwsServers,
  scale: number,
  chosen: readonly (keyof typeof placements)[],
): Promise<void> {
  for (const placement of chosen) {
    const options = placements[placement];
    await payloadStoreSuite({
      name: `${name}, placed ${placement},`,
      supports: {
        reopen: true,
        readers: true,
        syncs: !placement.startsWith("segments"),
        moves: placement.includes("compacted"),
      },
      scale,
      open: async (asked) => {
        const place = await freshPlace(servers);
        const opened: PayloadStore[] = [];
        const open = async (more: Partial<AwsOptions> = {}) => {
          const indexing = { codecPolicy: "tiered", indexedAttributes: ["user", "model"] } as const;
          const store = await openAt(servers, place, { ...indexing, ...options, ...asked, ...more }, { compaction });
          opened.push(store);
          return placement.includes("compacted") ? compactedAfterWrites(store) : store;
        };
        const store = await open();
        let writer = store;
        const meter = new RequestMeter();
        meter.watch(servers.clients.s3);
        return {
          store,
          reopen: async () => {
            await writer.close();
            writer = await open();
            return writer;
          },
          openReader: () => open({ readOnly: true }),
          // How many commits share a PUT depends on how long one takes, and here it takes no time: test/aws/requests.test.ts.
          ...(placement.startsWith("segments") ? {} : { syncs: () => meter.counts().requests["PutObject"] ?? 0 }),
          end: async () => {
            for (const each of opened) await each.close();
          },
        };
      },
    });
  }
}

/** Takes rows at once; what they stood for stays beside them. */
const compaction = { times: { restMs: -2_000, leaseMs: 0 } };

/** A store that is compacted before each write is answered. */
function compactedAfterWrites<Store extends PayloadStore>(store: Store): Store {
  const writes: readonly (string | symbol)[] = ["append", "appendMany", "delete", "deleteGroup"];
  return new Proxy(store, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name);
      if (typeof value !== "function") return value;
      const method = value.bind(of) as (...args: unknown[]) => unknown;
      if (!writes.includes(name)) return method;
      return async (...args: unknown[]) => {
        const answer = await method(...args);
        await store.compact().catch((error: unknown) => {
          // Another is at it, or the store was closed meanwhile.
          if (!isPayloadStoreError(error, "LOCKED") && !isPayloadStoreError(error, "CLOSED")) throw error;
        });
        return answer;
      };
    },
  });
}
