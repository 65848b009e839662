import { httpLimits } from "../../functions/http-limits.ts";
import { httpApiSuite } from "../support/http-api-suite.ts";
import { eventOfRequest, responseOf } from "../support/lambda/function-url.ts";
import { lambdaUnderTest } from "../support/lambda/lambda-under-test.ts";

/** All that docs/http.md promises, of the bundle as it is deployed, in two processes, each event to the next of them. */
httpApiSuite("a Lambda function", async () => {
  const lambda = await lambdaUnderTest();
  const sandboxes = await Promise.all([lambda.start(), lambda.start()]);
  const tokens = new Map<string, Promise<string>>();
  const tokenOf = (tenant: string): Promise<string> => {
    const token = tokens.get(tenant) ?? lambda.token(tenant);
    tokens.set(tenant, token);
    return token;
  };
  let invocations = 0;
  return {
    origin: "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws",
    payloadBytesMax: httpLimits.lambdaBodyBytesMax,
    boundsBodies: true,
    scansNothing: true,
    async ask(request) {
      const [, tenant = ""] = /^\/v1\/([a-z0-9][a-z0-9-]{0,62})\//.exec(new URL(request.url).pathname) ?? [];
      request.headers.set("authorization", `Bearer ${await tokenOf(tenant === "" ? "nobody" : tenant)}`);
      const sandbox = sandboxes[(invocations += 1) % sandboxes.length]!;
      return responseOf(await sandbox.invoke(await eventOfRequest(request)));
    },
    close: () => lambda.close(),
  };
});
