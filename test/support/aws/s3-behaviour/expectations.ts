import type { GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { expect } from "vitest";

/** Expects that S3 refuses a request with this code and status. */
export async function refused(request: Promise<unknown>, code: string, status: number): Promise<void> {
  await expect(request).rejects.toMatchObject({ name: code, $metadata: { httpStatusCode: status } });
}

export async function bytesOf({ Body }: GetObjectCommandOutput): Promise<Uint8Array> {
  return (await Body?.transformToByteArray()) ?? new Uint8Array();
}

export async function textOf({ Body }: GetObjectCommandOutput): Promise<string | undefined> {
  return Body?.transformToString();
}

/** What HTTP answers without an SDK. */
export async function answerOf(url: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(url, init);
  return { status: response.status, text: await response.text() };
}

/** The code of an error as S3 words it. */
export function errorCodeOf(text: string): string | undefined {
  return /<Code>(\w+)<\/Code>/.exec(text)?.[1];
}
