import { drawn, look, type Chart } from "./draw.ts";
import type { ScaleResult } from "./measures/scale/main.ts";

/** How cost grows: figures of the record that shall not grow with the ids. */
const figures = {
  hitP50Us: "look-up that finds, p50",
  preadP50Us: "a bare pread of 16 bytes, p50",
  missP50Us: "look-up that does not, p50",
  diskBytesPerKey: "disk, bytes an id",
  residentBitsPerKey: "memory, bits a key",
} as const;

/** The goal for look-ups that find, of those at the least number of ids. */
const hitGoal = 1.5;

interface Point {
  readonly ids: number;
  readonly what: string;
  /** Of what it is at the least number of ids. */
  readonly times: number;
}

/** Each cost against the number of ids, of what it is at the least of them; nothing where there is one number alone. */
export async function scaleChart(results: readonly Partial<ScaleResult>[]): Promise<Chart | undefined> {
  const points = relative(results);
  const ids = [...new Set(points.map((point) => point.ids))];
  if (ids.length < 2) return undefined;
  const said = Object.values(figures).map((what) => {
    const of = points.filter((point) => point.what === what);
    return `${what}: ${of.map(({ ids: at, times }) => `${times.toFixed(2)} at ${millions(at)}`).join(", ")}`;
  });
  return {
    file: "scale.svg",
    alt: `What the index on disk costs as ids grow, of what it costs at ${millions(ids[0]!)}. ${said.join("; ")}`,
    svg: await drawn(lines(points, ids)),
  };
}

function relative(results: readonly Partial<ScaleResult>[]): Point[] {
  const ascending = results.toSorted((a, b) => (a.keys ?? 0) - (b.keys ?? 0));
  const names = Object.keys(figures) as (keyof typeof figures)[];
  return names.flatMap((name) => {
    const known = ascending.flatMap(({ keys, [name]: value }) =>
      typeof keys === "number" && typeof value === "number" ? [{ keys, value }] : [],
    );
    return known.map(({ keys, value }) => ({ ids: keys, what: figures[name], times: value / known[0]!.value }));
  });
}

function lines(points: readonly Point[], ids: readonly number[]): object {
  return {
    ...look,
    height: 320,
    layer: [
      {
        data: { values: points },
        mark: { type: "line", point: true },
        encoding: {
          x: {
            field: "ids",
            type: "quantitative",
            scale: { type: "log" },
            axis: { values: ids, format: "~s", title: "ids" },
          },
          y: {
            field: "times",
            type: "quantitative",
            scale: { zero: true },
            title: `of what it is at ${millions(ids[0]!)}`,
          },
          color: {
            field: "what",
            type: "nominal",
            title: null,
            sort: Object.values(figures),
            legend: { orient: "bottom", columns: 2, labelLimit: 300 },
          },
        },
      },
      {
        data: { values: [{ goal: hitGoal, said: `goal of look-ups that find: ${hitGoal}` }] },
        mark: { type: "rule", strokeDash: [4, 4], color: "#64748b" },
        encoding: { y: { field: "goal", type: "quantitative" } },
      },
      {
        data: { values: [{ goal: hitGoal, ids: ids[0], said: `goal of look-ups that find: ${hitGoal}` }] },
        mark: { type: "text", align: "left", dx: 6, dy: -6, color: "#64748b" },
        encoding: {
          x: { field: "ids", type: "quantitative" },
          y: { field: "goal", type: "quantitative" },
          text: { field: "said" },
        },
      },
    ],
  };
}

function millions(ids: number): string {
  return `${ids / 1e6} M`;
}
