/**
 * How a function is bundled, in the words of SST's `nodejs`. `npm run bundle` does the same without SST (build-api.ts), and
 * what that makes is what is tested. Left unsaid, SST does not minify, and keeps the names of functions.
 */
export const functionBundle = {
  minify: true,
  format: "esm" as const,
  // What is imported dynamically lies in files of its own, which no start parses: the OpenAPI document, the signer of URLs.
  splitting: true,
  esbuild: {
    mainFields: ["module", "main"],
    keepNames: false,
    // What the SDK would import when it finds no credentials in the environment, where Lambda sets them: 90 KB.
    external: [
      "@aws-sdk/credential-provider-http",
      "@aws-sdk/credential-provider-ini",
      "@aws-sdk/credential-provider-process",
      "@aws-sdk/credential-provider-sso",
      "@aws-sdk/credential-provider-web-identity",
      "@smithy/credential-provider-imds",
      "bowser",
    ],
  },
};

/** What the store loads when it is asked to, and no route asks: 50 KB that the handler behind the URL goes without. */
export const neverAsked = [
  "*/aws-compaction.ts",
  "*/aws/rebuild.ts",
  "*/segment/scan.ts",
  "*/verify/estimate.ts",
  "*/verify/verify-store.ts",
];

export const apiBundle = {
  ...functionBundle,
  esbuild: { ...functionBundle.esbuild, external: [...functionBundle.esbuild.external, ...neverAsked] },
};
