import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { S3Client } from "@aws-sdk/client-s3";
import { checksums } from "./s3-behaviour/checksums.ts";
import { conditions } from "./s3-behaviour/conditions.ts";
import { listings } from "./s3-behaviour/listings.ts";
import { multipartUploads } from "./s3-behaviour/multipart-uploads.ts";
import { objects } from "./s3-behaviour/objects.ts";
import { presignedUrls } from "./s3-behaviour/presigned-urls.ts";
import { ranges } from "./s3-behaviour/ranges.ts";
import { signatures } from "./s3-behaviour/signatures.ts";
import type { Difference } from "./s3-differences.ts";
import type { S3Server } from "./s3-server.ts";

/** What a behaviour is stated on. */
export interface S3Subject {
  readonly server: S3Server;
  /** Does not retry. */
  readonly s3: S3Client;
  /** One for the whole suite. */
  readonly Bucket: string;
  /** Of this behaviour alone, free as it begins, and so is what begins with it. */
  readonly Key: string;
}

/** States one behaviour of S3 that Paylode relies on, or whose absence it must know. */
export type Behaviour = (name: string, body: (subject: S3Subject) => Promise<void>) => void;

/**
 * What Paylode relies on in S3, stated once and run on each server that stands for S3 in tests.
 *
 * A server that differs is known by its list: on it, the behaviours that the list names have to fail, the way the list
 * says. So a difference that is not listed fails, and so does one that is listed and no longer there.
 */
export function s3BehaviourSuite(
  name: string,
  open: () => Promise<S3Server>,
  differences: readonly Difference[] = [],
): void {
  describe(`${name} as S3`, () => {
    let server: S3Server;
    let s3: S3Client;
    let Bucket: string;
    beforeAll(async () => {
      server = await open();
      s3 = server.client({ maxAttempts: 1 });
      Bucket = await server.freshBucket();
    });
    afterAll(() => server?.close());

    const stated: string[] = [];
    for (const [area, state] of Object.entries(areas)) {
      describe(`${area}`, () => {
        state((behaviour, body) => {
          const full = `${area} › ${behaviour}`;
          const Key = `behaviour-${stated.push(full)}`;
          const difference = differences.find((one) => one.behaviour === full);

          test(`${behaviour}${difference === undefined ? "" : `; not here: ${difference.instead}`}`, async () => {
            const run = body({ server, s3, Bucket, Key });
            if (difference === undefined) return run;
            const failure = await run.then(() => undefined, String);
            if (failure === undefined && difference.sometimes) return;
            expect(failure ?? "it behaves as S3, and is to be taken off the list").toMatch(difference.shows);
          });
        });
      });
    }

    test("every listed difference is about a behaviour", () => {
      expect(differences.map(({ behaviour }) => behaviour).filter((behaviour) => !stated.includes(behaviour))).toEqual(
        [],
      );
    });
  });
}

const areas: Readonly<Record<string, (behaviour: Behaviour) => void>> = {
  objects,
  ranges,
  conditions,
  listings,
  "multipart uploads": multipartUploads,
  checksums,
  signatures,
  "presigned URLs": presignedUrls,
};
