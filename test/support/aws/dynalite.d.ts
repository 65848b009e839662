/** What is used of dynalite, which brings no types of its own. */
declare module "dynalite" {
  import type { Server } from "node:http";

  /** A server that speaks DynamoDB over a database in memory; to be told where to listen. */
  export default function dynalite(options?: {
    /** How long a table stays in `CREATING`; 500 by default. */
    readonly createTableMs?: number;
    readonly deleteTableMs?: number;
  }): Server;
}
