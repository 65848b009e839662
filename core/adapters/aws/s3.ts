import type { S3Client } from "@aws-sdk/client-s3";
import type * as loaded from "./s3-loaded.ts";

/** A client, and what it is asked with. */
export type S3Requests = typeof loaded & { readonly client: S3Client };

/**
 * S3, loaded by the first request to it. Small payloads are written and read in DynamoDB alone, and the SDK for S3 is a quarter
 * of what a process would parse before its first answer.
 */
export class S3 {
  readonly #given: S3Client | undefined;
  readonly #made: ((client: S3Client) => void) | undefined;
  #loading: Promise<S3Requests> | undefined;

  /**
   * @param given  by default one that takes region and credentials from the environment
   * @param made  gets that one
   */
  constructor(given?: S3Client, made?: (client: S3Client) => void) {
    this.#given = given;
    this.#made = made;
  }

  requests(): Promise<S3Requests> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<S3Requests> {
    const parts = await import("./s3-loaded.ts");
    const client = this.#given ?? parts.s3Client();
    if (this.#given === undefined) this.#made?.(client);
    return { ...parts, client };
  }
}
