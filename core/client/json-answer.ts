import { PayloadStoreError } from "../errors.ts";

/**
 * An answer as the JSON object that it is.
 *
 * @param members  of which it has one
 * @throws {PayloadStoreError} `UNAVAILABLE` when it is cut off, so that it is asked for again; `INVALID` when it is another
 *   server's
 */
export async function answerOf<Answer extends object>(
  response: Response,
  members: readonly (keyof Answer & string)[],
): Promise<Answer> {
  const text = await response.text();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PayloadStoreError("UNAVAILABLE", `the answer of ${text.length} characters is no whole JSON`, { cause });
  }
  const isAnswer =
    typeof value === "object" && value !== null && members.some((member) => Object.hasOwn(value, member));
  if (isAnswer) return value as Answer;
  throw new PayloadStoreError("INVALID", `the answer has no ${members.join(" or ")}: is it Paylode's?`);
}
