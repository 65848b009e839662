import { EventEmitter } from "node:events";
import type { Server } from "node:http";
import type { DynamoAnswer, Json } from "./answer.ts";

/**
 * Asks the server behind the proxy, in this process and not over a connection, which would take a third of the time of all
 * tests that ask DynamoDB. What is handed over is as much of a request and of a response as dynalite looks at.
 */
export function forwarder(server: Server) {
  return (asked: Json, headers: Readonly<Record<string, string>>): Promise<DynamoAnswer> => {
    const { promise, resolve } = Promise.withResolvers<DynamoAnswer>();
    const request = Object.assign(new EventEmitter(), { method: "POST", url: "/", headers });
    const response = {
      statusCode: 200,
      setHeader: () => {},
      end: (body: string) => resolve({ status: response.statusCode, json: JSON.parse(body) as Json }),
    };
    server.emit("request", request, response);
    request.emit("data", Buffer.from(JSON.stringify(asked)));
    request.emit("end");
    return promise;
  };
}
