/** What every entry of the package exports: the store and its words, without any adapter. */
export { errorCodes, isPayloadStoreError, PayloadStoreError, type ErrorCode, type ErrorDetails } from "./errors.ts";
export type {
  ErasedSegment,
  Erasure,
  ErasureSelector,
  ErasureState,
  ErasureWish,
  SuccessorSegment,
} from "./erasure/erasure.ts";
export { estimateIndexMemory, estimateRequests, type RequestEstimate, type StoreShape } from "./estimate.ts";
export type { ExpiresAt } from "./expiry.ts";
export type { FindQuestion } from "./find.ts";
export type { GroupKey, PayloadId, PayloadKey, TenantKey } from "./key.ts";
export { limits } from "./limits.ts";
export {
  autoPolicy,
  tieredPolicy,
  type BlockShape,
  type CodecPolicy,
  type CodecPolicyName,
  type CodecTiers,
} from "./codec-policy.ts";
export type { Retention } from "./commit-lanes.ts";
export { PayloadStore, type PayloadStoreOptions, type PayloadStorePorts } from "./payload-store.ts";
export type {
  AppendOptions,
  Attributes,
  CallOptions,
  CreateOptions,
  IdempotentOptions,
  ListedPayload,
  Location,
  Payload,
  PayloadHead,
  PayloadInput,
  ReadOptions,
  ReadRange,
  Stats,
  StoredPayload,
  StreamedPayload,
} from "./payload.ts";
export type { Health } from "./health.ts";
export type { StorageStats } from "./storage.ts";
export type { CodecCode, CodecName } from "./ports/codec.ts";
export type { GroupSummary } from "./ports/offset-index.ts";
export type { SegmentDamage } from "./segment/scan.ts";
export type { VerifyEstimate } from "./verify/estimate.ts";
export type { Fault, FaultKind, VerifyOptions, VerifyReport } from "./verify/report.ts";
export type { BegunUpload, PutUpload, UploadInput } from "./uploads.ts";
