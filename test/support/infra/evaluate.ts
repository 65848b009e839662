import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import type { Evaluation, Registered } from "./evaluation.ts";
import { platform, root } from "./platform.ts";
import { type Mocks, mocks, standInForSst } from "./stand-ins.ts";

/**
 * `node evaluate.ts OUTPUT STAGE [--dev]` evaluates sst.config.ts with SST's own components, as `sst deploy` does, and writes
 * what would be created to OUTPUT as JSON. In place of Pulumi's engine stand Pulumi's own mocks, in place of SST's process a
 * small server. Nothing is asked of AWS.
 *
 * A process of its own: the components, the mocks and the names that a config sees are global.
 */
const [output = "", stage = "", mode] = process.argv.slice(2);
const dev = mode === "--dev";

/** Of the modules of Pulumi and SST, what is used here. */
interface Platform {
  readonly components: object;
  readonly aws: object;
  readonly shim: object;
  readonly run: (program: () => Promise<object>) => Promise<object>;
  readonly pulumi: {
    readonly runtime: {
      setMocks(mocks: Mocks, project: string, stack: string, preview: boolean): Promise<void>;
      getMonitor(): Monitor;
      runInPulumiStack(program: () => Promise<object>): Promise<object>;
      disconnect(): Promise<void>;
    };
    output(value: unknown): { apply(use: (resolved: Evaluation["outputs"]) => void): void };
  };
}

interface Monitor {
  registerResource(request: RegisterRequest, answer: unknown): Promise<void>;
  registerResourceOutputs(request: OutputsRequest, answer: unknown): void;
}

interface RegisterRequest {
  getType(): string;
  getName(): string;
  getRetainondelete(): boolean;
  getObject(): { toJavaScript(): Registered["inputs"] };
}

interface OutputsRequest {
  getUrn(): string;
  getOutputs(): { toJavaScript(): Registered["told"] };
}

interface Config {
  app(input: { stage: string }): Evaluation["app"];
  run(): Promise<object>;
}

const work = await mkdtemp(path.join(tmpdir(), "paylode-infra-"));
const server = await standInForSst(work);
try {
  await writeFile(output, JSON.stringify(await evaluate()));
} finally {
  server.close();
  await rm(work, { recursive: true, force: true });
}
// Pulumi keeps handles open.
process.exit(0);

async function evaluate(): Promise<Evaluation> {
  Object.assign(globalThis, { $config: (given: Config) => given });
  const file = pathToFileURL(path.join(root, "sst.config.ts")).href;
  const { default: config } = (await import(file)) as { default: Config };
  const app = config.app({ stage });

  // The components read these names while they are loaded.
  const paths = { home: work, root, work, platform };
  const cli = { command: dev ? "dev" : "deploy", dev, paths, state: { version: {} } };
  Object.assign(globalThis, { $app: { ...app, stage, providers: {} }, $cli: cli, $dev: dev });
  const { components, aws, shim, run, pulumi } = await loadPlatform();
  Object.assign(globalThis, shim, { sst: components, aws });

  await pulumi.runtime.setMocks(mocks, app.name, stage, false);
  const resources = recordOf(pulumi.runtime.getMonitor());
  const outputs = await pulumi.runtime.runInPulumiStack(() => run(() => config.run()));
  const { promise, resolve } = Promise.withResolvers<Evaluation["outputs"]>();
  pulumi.output(outputs).apply(resolve);
  const resolved = await promise;
  await pulumi.runtime.disconnect();
  return { app, outputs: resolved, resources };
}

/** The components come as sources, which SST's process bundles, too. */
async function loadPlatform(): Promise<Platform> {
  const outfile = path.join(platform, `paylode-${process.pid}.mjs`);
  try {
    await build({
      stdin: {
        contents: `
          export * as components from "./src/components/index.ts";
          export * as shim from "./src/shim/run.js";
          export { run } from "./src/auto/run.ts";
          export * as aws from "@pulumi/aws";
          export * as pulumi from "@pulumi/pulumi";`,
        resolveDir: platform,
        loader: "ts",
      },
      outfile,
      bundle: true,
      format: "esm",
      platform: "node",
      packages: "external",
      logLevel: "error",
      banner: {
        js: `
          import { createRequire } from "node:module";
          const require = createRequire(import.meta.url);
          const __filename = import.meta.filename, __dirname = import.meta.dirname;`,
      },
    });
    return (await import(pathToFileURL(outfile).href)) as Platform;
  } finally {
    await rm(outfile, { force: true });
  }
}

/** Grows while resources are registered. The mocks hear their inputs alone; the requests to the engine say the rest. */
function recordOf(monitor: Monitor): readonly Registered[] {
  const resources: Registered[] = [];
  const told = new Map<string, Registered["told"]>();
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, answer) => {
    const name = request.getName();
    resources.push({
      type: request.getType(),
      name,
      retained: request.getRetainondelete(),
      inputs: request.getObject().toJavaScript(),
      get told() {
        return told.get(name) ?? {};
      },
    });
    return register(request, answer);
  };
  const registerOutputs = monitor.registerResourceOutputs.bind(monitor);
  monitor.registerResourceOutputs = (request, answer) => {
    told.set(request.getUrn().split("::").at(-1) ?? "", request.getOutputs().toJavaScript());
    registerOutputs(request, answer);
  };
  return resources;
}
