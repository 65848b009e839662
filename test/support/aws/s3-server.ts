import { S3Client } from "@aws-sdk/client-s3";
import type { S3ClientConfig } from "@aws-sdk/client-s3";

/** A server that speaks S3, on the loopback: our double (`startS3Double`), or Ceph's gateway (`startCeph`). */
export interface S3Server {
  /** `http://127.0.0.1:` and a port that was free. */
  readonly url: string;
  readonly credentials: S3Credentials;
  /** A client of this server, path-style, otherwise with the SDK's defaults, or `overrides`. Destroyed with the server. */
  client(overrides?: S3ClientConfig): S3Client;
  /** Creates a bucket of its own for a suite or a test, and answers its name. */
  freshBucket(): Promise<string>;
  close(): Promise<void>;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The clients of one server. */
export function s3Clients(
  endpoint: string,
  credentials: S3Credentials,
  defaults: S3ClientConfig = {},
): Pick<S3Server, "client"> & { destroy(): void } {
  const clients: S3Client[] = [];
  return {
    client(overrides = {}) {
      const settings = { endpoint, region: "us-east-1", forcePathStyle: true, credentials, logger: silent };
      const client = new S3Client({ ...settings, ...defaults, ...overrides });
      clients.push(client);
      return client;
    },
    destroy() {
      for (const client of clients) client.destroy();
    },
  };
}

/** The SDK warns on the console of what tests do on purpose. */
const silent = { debug() {}, info() {}, warn() {}, error() {} };
