import { isPayloadStoreError, PayloadStoreError } from "../errors.ts";
import type { FrameDraft } from "./frame.ts";

/**
 * Why a frame is not stored: its blocks rest in a segment that does not grow any more, or never did. Nothing of it was written;
 * whoever made it encodes it anew.
 */
export function strayFrame(tenant: string, { group, restsIn = "" }: FrameDraft): PayloadStoreError {
  const message = `a page of group ${JSON.stringify(group)} rests in segment ${tenant}/${restsIn}, which does not grow any more: encode it anew`;
  return new PayloadStoreError("CONFLICT", message, { details: { tenant, restsIn } });
}

export function isStrayFrame(error: unknown): boolean {
  return isPayloadStoreError(error, "CONFLICT") && error.details["restsIn"] !== undefined;
}
