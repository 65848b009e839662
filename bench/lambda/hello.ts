import { Hono } from "hono";
import type { LambdaRuntime } from "../../functions/lambda-runtime.ts";

declare const awslambda: LambdaRuntime;

const app = new Hono();
app.get("/", (context) => context.text("hello"));

/** What a function on hono costs that does nothing: the measure of the product's own start. */
export const handler = awslambda.streamifyResponse(async ({ rawPath }, stream) => {
  const response = await app.fetch(new Request(`https://hello.example${rawPath}`));
  const headers = Object.fromEntries(response.headers);
  const out = awslambda.HttpResponseStream.from(stream, { statusCode: response.status, headers });
  out.write(await response.text());
  out.end();
});
