import { invariant } from "../invariant.ts";
import { limits } from "../limits.ts";

/** Bounds of the client, with unit and reason. What the store bounds itself is in core/limits.ts. */
export const clientLimits = {
  /** One attempt, in milliseconds: until its answer is complete, or of a stream until its next piece. */
  attemptMsDefault: 30_000,
  /** A call with all its attempts and pauses, in milliseconds. */
  deadlineMsDefault: 120_000,
  /** The same for a batch of a writer, in milliseconds: long enough for a server that is being replaced. */
  writerDeadlineMsDefault: 300_000,
  /** Longest deadline, in milliseconds. Servers honour an Idempotency-Key for at least 24 hours. */
  deadlineMsMax: 43_200_000,
  /** Attempts of one call, whatever its deadline. Pauses draw from 0 on, so a deadline alone bounds no number. */
  attemptsMax: 64,
  /** The first pause is at most so long, in milliseconds; each one after it may be twice as long. */
  pauseMsFirst: 100,
  pauseMsMax: 10_000,
  /** An upload with all its steps, in milliseconds: so long its URL is good. */
  uploadDeadlineMsDefault: 3_600_000,
  /** One attempt to commit it, in milliseconds: as long as the handler on AWS may read. */
  uploadCommitMs: 300_000,
  /** Payloads of a `getMany` that are asked for at the same time. */
  getsAtOnce: 16,
  /** Payloads of a writer's batch. Each group in a batch is a commit of its own. */
  writerPayloadsDefault: 256,
  /** Lines of a writer's batch, in bytes. Request bodies behind a Lambda function URL end at 6 MB. */
  writerBytesDefault: 1_048_576,
  /** How long a payload waits for others to share its batch, in milliseconds. */
  writerDelayMsDefault: 100,
  /** Lines that wait in a writer, in bytes. */
  writerPendingBytesDefault: 16_777_216,
  /** Bodies of all requests that outlive their page, in bytes: what the Fetch standard allows `keepalive`. */
  keepaliveBytesMax: 65_536,
  /** Longest line of an answer, in bytes: the largest payload as base64, and room for names. */
  lineBytesMax: 100_663_296,
} as const;

invariant(clientLimits.lineBytesMax > (limits.payloadBytesMax * 4) / 3, "the largest payload fits a line");
invariant(clientLimits.uploadDeadlineMsDefault <= limits.uploadUrlMsMax, "nothing is put behind its URL's time");
invariant(clientLimits.writerPayloadsDefault <= limits.commitPayloadsMax, "a batch of one group is one commit");
