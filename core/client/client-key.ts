import type { PayloadId } from "../key.ts";

/** A group of the client's tenant. */
export interface ClientGroup {
  readonly group: PayloadId;
}

/** A payload of the client's tenant. Without `group` the id is its own group. */
export interface ClientKey {
  readonly group?: PayloadId | undefined;
  readonly id: PayloadId;
}
