import { rm } from "node:fs/promises";
import path from "node:path";
import { build, type Metafile } from "esbuild";
import { apiBundle } from "./api-bundle.ts";

export interface Built {
  /** What is in it, and for what. */
  readonly metafile: Metafile;
  /** Of all files. */
  readonly bytes: number;
}

/** `npm run bundle`: the handler as SST would deploy it, `bundle.mjs` and what it imports later. */
export async function buildApi(outdir: string, entry = "functions/api.ts"): Promise<Built> {
  const { minify, format, splitting, esbuild } = apiBundle;
  const { metafile } = await build({
    ...esbuild,
    absWorkingDir: root,
    entryPoints: { bundle: entry },
    outdir,
    bundle: true,
    metafile: true,
    minify,
    format,
    splitting,
    // As SST does for Node 24, whatever the options say.
    platform: "node",
    target: "es2024",
    outExtension: { ".js": ".mjs" },
    banner: { js: banner },
    logLevel: "warning",
  });
  return { metafile, bytes: Object.values(metafile.outputs).reduce((sum, { bytes }) => sum + bytes, 0) };
}

const root = path.resolve(import.meta.dirname, "..");

/** What packages of CommonJS ask for in an ES module. */
const banner = `import { createRequire as topLevelCreateRequire } from "module";
const require = topLevelCreateRequire(import.meta.url);
import { fileURLToPath as topLevelFileUrlToPath, URL as topLevelURL } from "url";
const __filename = topLevelFileUrlToPath(import.meta.url);
const __dirname = topLevelFileUrlToPath(new topLevelURL(".", import.meta.url));`;

if (import.meta.main) {
  const outdir = process.argv[2] ?? "dist/lambda";
  // The names of its files change with what is in them.
  await rm(path.resolve(root, outdir), { recursive: true, force: true });
  const { metafile, bytes } = await buildApi(outdir);
  const files = Object.keys(metafile.outputs).length;
  console.log(`${outdir}: ${files} files, ${(bytes / 1024).toFixed(1)} KiB`);
}
