import { restoreWindowDays } from "./restore-window.ts";
import { settings } from "./stage.ts";

/** What guards the bucket stays with it: a bucket that outlives its stage is as closed as before. */
const stayingWithTheBucket = (_args: unknown, opts: $util.CustomResourceOptions): undefined => {
  opts.retainOnDelete = settings.production;
};

/** Segments under `segments/<tenant>/`, presigned uploads under `uploads/<tenant>/`. */
export const bucket = new sst.aws.Bucket("Bucket", {
  enforceHttps: true,
  versioning: true,
  cors: settings.corsOrigins.length > 0 && {
    allowOrigins: [...settings.corsOrigins],
    allowMethods: ["GET", "PUT"],
    allowHeaders: ["*"],
    exposeHeaders: ["ETag"],
    maxAge: "1 hour",
  },
  transform: {
    bucket: (args) => {
      // A developer's stage takes its payloads with it. In production nothing empties the bucket.
      args.forceDestroy = !settings.production;
    },
    policy: stayingWithTheBucket,
    publicAccessBlock: stayingWithTheBucket,
    versioning: stayingWithTheBucket,
  },
});

new aws.s3.BucketServerSideEncryptionConfiguration(
  "BucketEncryption",
  { bucket: bucket.name, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
  { retainOnDelete: settings.production },
);

/**
 * A backstop only. No rule removes a current object, under any prefix: that one is still referred to is known to the table
 * alone, and what a rule removed would be missed by the next read.
 */
new aws.s3.BucketLifecycleConfiguration(
  "BucketLifecycle",
  {
    bucket: bucket.name,
    rules: [
      {
        id: "unfinished-uploads",
        status: "Enabled",
        filter: { prefix: "" },
        // Parts that nobody completed cost like objects, and no listing shows them.
        abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
      },
      {
        id: "removed-versions",
        status: "Enabled",
        filter: { prefix: "" },
        noncurrentVersionExpiration: { noncurrentDays: restoreWindowDays },
        // The marker of a removed object, once its last version is gone: no bytes, but listings pass over it.
        expiration: { expiredObjectDeleteMarker: true },
      },
    ],
  },
  { retainOnDelete: settings.production },
);
