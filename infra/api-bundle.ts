/**
 * How the handler is bundled, in the words of SST's `nodejs`. `npm run bundle` does the same without SST (build-api.ts), and
 * what that makes is what is tested. Left unsaid, SST does not minify, and keeps the names of functions.
 */
export const apiBundle = {
  minify: true,
  format: "esm" as const,
  esbuild: {
    mainFields: ["module", "main"],
    keepNames: false,
    // Where the SDK looks for credentials if the environment has none; Lambda sets them there. They weigh 90 KB, of which
    // every start would parse each.
    external: [
      "@aws-sdk/credential-provider-http",
      "@aws-sdk/credential-provider-ini",
      "@aws-sdk/credential-provider-process",
      "@aws-sdk/credential-provider-sso",
      "@aws-sdk/credential-provider-web-identity",
      "@smithy/credential-provider-imds",
    ],
  },
};
