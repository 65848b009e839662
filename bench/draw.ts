import { load } from "./peers/package.ts";

/** A picture in docs/charts, and what it says to who cannot see it. */
export interface Chart {
  readonly file: string;
  readonly alt: string;
  readonly svg: string;
}

/** The parts of vega and vega-lite that are used here: https://vega.github.io */
interface VegaModule {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: { renderer: "none" }) => { toSVG(): Promise<string> };
}

interface VegaLiteModule {
  compile(spec: unknown): { readonly spec: unknown };
}

export const look = {
  $schema: "https://vega.github.io/schema/vega-lite/v6.json",
  width: 620,
  background: "white",
  config: { font: "sans-serif", axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" } },
};

/** A spec of vega-lite as a picture. */
export async function drawn(spec: object): Promise<string> {
  const vega = await load<VegaModule>("vega");
  const lite = await load<VegaLiteModule>("vega-lite");
  return new vega.View(vega.parse(lite.compile(spec).spec), { renderer: "none" }).toSVG();
}
