import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { serveLocal } from "../../functions/local.ts";

/** What the client asks of a server's process, beside HTTP. */
export type ServerQuestion = "cpu" | "stop";
export type ServerAnswer = { readonly url: string } | { readonly cpuMs: number };

/** The least a server can do: it reads a body, and answers a word. */
async function helloServer(): Promise<{ url: string; close: () => Promise<void> }> {
  const app = new Hono();
  app.get("*", (context) => context.text("hello"));
  app.put("*", async (context) => {
    await context.req.arrayBuffer();
    return context.text("hello");
  });
  const listener = getRequestListener(app.fetch);
  const server = createServer((incoming, outgoing) => void listener(incoming, outgoing));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

const [kind, directory = ""] = process.argv.slice(2);
const server = kind === "hello" ? await helloServer() : await serveLocal({ directory, port: 0 });
const answer = (message: ServerAnswer) => process.send?.(message);
process.on("message", (question: ServerQuestion) => {
  if (question === "cpu") {
    const { user, system } = process.cpuUsage();
    answer({ cpuMs: (user + system) / 1000 });
  } else {
    void server.close().then(() => process.disconnect());
  }
});
answer({ url: server.url });
