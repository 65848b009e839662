import { PutObjectCommand } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import type { Behaviour, S3Subject } from "../s3-behaviour-suite.ts";
import { answerOf, errorCodeOf, refused } from "./expectations.ts";

export function signatures(behaviour: Behaviour): void {
  const minuteMs = 60_000;
  const put = ({ server, Bucket, Key }: S3Subject, settings: object): Promise<unknown> =>
    server.client({ maxAttempts: 1, ...settings }).send(new PutObjectCommand({ Bucket, Key, Body: "x" }));

  behaviour("a wrong secret is refused", async (subject) => {
    const credentials = { ...subject.server.credentials, secretAccessKey: "wrong" };

    await refused(put(subject, { credentials }), "SignatureDoesNotMatch", 403);
  });

  behaviour("a key that nobody has is refused", async (subject) => {
    const credentials = { ...subject.server.credentials, accessKeyId: "nobody" };

    await refused(put(subject, { credentials }), "InvalidAccessKeyId", 403);
  });

  behaviour("a request without a signature is refused", async ({ server, Bucket, Key }) => {
    const { status, text } = await answerOf(`${server.url}/${Bucket}/${Key}`);

    expect([status, errorCodeOf(text)]).toEqual([403, "AccessDenied"]);
  });

  behaviour("another region is refused", async (subject) => {
    await refused(put(subject, { region: "eu-west-1" }), "AuthorizationHeaderMalformed", 400);
  });

  for (const minutes of [-14, 14]) {
    behaviour(`a clock that is off by ${minutes} minutes is taken`, async (subject) => {
      await put(subject, { systemClockOffset: minutes * minuteMs });
    });
  }

  for (const minutes of [-16, 16]) {
    behaviour(`a clock that is off by ${minutes} minutes is refused`, async (subject) => {
      await refused(put(subject, { systemClockOffset: minutes * minuteMs }), "RequestTimeTooSkewed", 403);
    });
  }
}
