import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { openClient } from "../../core/entries/client.ts";
import { serveLocal } from "../../functions/local.ts";
import { clientSuite } from "../support/client-suite.ts";
import { storeOverHttp } from "../support/store-over-http.ts";

/** What is refused is to be seen as it is, at once. */
const once = { attempts: 1 };

await clientSuite(
  {
    name: "a client of a server over a folder",
    scale: 0.4,
    open: async (options) => {
      const directory = mkdtempSync(path.join(tmpdir(), "paylode-client-"));
      const server = await serveLocal({ directory, port: 0, ...options });
      const clientOf = (tenant: string) => openClient({ url: server.url, tenant, ...once });
      const end = async () => {
        await server.close();
        rmSync(directory, { recursive: true, force: true });
      };
      return { store: storeOverHttp(server.store, clientOf), end };
    },
  },
  [
    ["follows the policy of the store", "a server has one policy"],
    ["while a payload is compressed keeps it from being stored", "the same"],
  ],
);
