import { stat } from "node:fs/promises";
import path from "node:path";
import { build, type Metafile } from "esbuild";
import { apiBundle } from "./api-bundle.ts";

export interface Built {
  /** What is in it, and for what. */
  readonly metafile: Metafile;
  readonly bytes: number;
}

/** `npm run bundle`: the handler as SST would deploy it, in dist/lambda/bundle.mjs. */
export async function buildApi(outfile: string, entry = "functions/api.ts"): Promise<Built> {
  const { minify, format, esbuild } = apiBundle;
  const { mainFields, keepNames, external } = esbuild;
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    metafile: true,
    minify,
    format,
    mainFields,
    keepNames,
    external,
    // As SST does for Node 24, whatever the options say.
    platform: "node",
    target: "es2024",
    banner: { js: banner },
    logLevel: "warning",
  });
  return { metafile, bytes: (await stat(path.resolve(root, outfile))).size };
}

const root = path.resolve(import.meta.dirname, "..");

/** What packages of CommonJS ask for in an ES module. */
const banner = `import { createRequire as topLevelCreateRequire } from "module";
const require = topLevelCreateRequire(import.meta.url);
import { fileURLToPath as topLevelFileUrlToPath, URL as topLevelURL } from "url";
const __filename = topLevelFileUrlToPath(import.meta.url);
const __dirname = topLevelFileUrlToPath(new topLevelURL(".", import.meta.url));`;

if (import.meta.main) {
  const outfile = process.argv[2] ?? "dist/lambda/bundle.mjs";
  const { bytes } = await buildApi(outfile);
  console.log(`${outfile}: ${(bytes / 1024).toFixed(1)} KiB`);
}
