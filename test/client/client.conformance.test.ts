import { openClient } from "../../core/entries/client.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { createApp } from "../../functions/app.ts";
import { clientSuite } from "../support/client-suite.ts";
import { storeOverHttp } from "../support/store-over-http.ts";

/** What is refused is to be seen as it is, at once. */
const once = { attempts: 1 };

await clientSuite({
  name: "a client of the app",
  scale: 0.2,
  open: async (options) => {
    const store = openMemory(options);
    const app = createApp(store);
    const clientOf = (tenant: string) =>
      openClient({ url: "http://paylode.test", tenant, fetch: (url, init) => app.request(url, init), ...once });
    return { store: storeOverHttp(store, clientOf), end: () => store.close() };
  },
});
