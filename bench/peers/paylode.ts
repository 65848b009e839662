import { openDisk } from "../../core/entries/disk.ts";
import type { PeerKind } from "../peer.ts";

const tenant = "bench";

export const paylode: PeerKind = {
  name: "paylode",
  durable: '`durability: "safe"`: one fdatasync a commit',
  load: async () => async (directory) => {
    const store = await openDisk({ directory });
    return {
      write: async ({ group, items }) => void (await store.appendMany({ tenant, group }, items)),
      get: ({ group, id }) => store.get({ tenant, group, id }),
      has: ({ group, id }) => store.has({ tenant, group, id }),
      group: async (group) => {
        const payloads: Uint8Array[] = [];
        for await (const { body } of store.contents({ tenant, group })) payloads.push(body);
        return payloads;
      },
      close: () => store.close(),
    };
  },
};
