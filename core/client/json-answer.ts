import { PayloadStoreError } from "../errors.ts";

/** An answer as the JSON object that it is. @throws {PayloadStoreError} `UNAVAILABLE` when it is cut off, so that it is asked for again */
export async function answerOf<Answer extends object>(response: Response): Promise<Answer> {
  const text = await response.text();
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Answer;
  } catch (cause) {
    throw new PayloadStoreError("UNAVAILABLE", `the answer of ${text.length} characters is no whole JSON`, { cause });
  }
  throw new PayloadStoreError("INVALID", "the answer is no JSON object: is it Paylode's?");
}
