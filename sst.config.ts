/** What runs on AWS. One file a resource in infra/; what a stage may change, and why, in infra/settings.ts. */
export default $config({
  app(input) {
    const production = input?.stage === "production";
    return {
      name: "paylode",
      home: "aws",
      // In production `sst remove` is refused; once that is lifted, it still leaves bucket and table where they are.
      protect: production,
      removal: production ? "retain" : "remove",
    };
  },
  async run() {
    const { settings } = await import("./infra/stage.ts");
    const { bucket } = await import("./infra/bucket.ts");
    const { table } = await import("./infra/table.ts");
    const { api } = await import("./infra/api.ts");
    await import("./infra/compaction.ts");
    if (settings.watched) {
      await import("./infra/alarms.ts");
      await import("./infra/dashboard.ts");
    }
    await import("./infra/local-store.ts");

    return { url: api.url, function: api.name, bucket: bucket.name, table: table.name };
  },
});
