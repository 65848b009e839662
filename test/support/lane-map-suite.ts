import { test } from "vitest";
import { lanesDoAsMapsDo } from "./lane-map-properties.ts";
import { holds } from "./property.ts";

export function laneMapSuite(
  file: string,
  {
    runs,
    steps,
    project = "quick",
  }: { readonly runs: number; readonly steps: number; readonly project?: "quick" | "ci" },
): void {
  test("answers as a Map of Sets does, whatever is merged in between", async () => {
    await holds(file, lanesDoAsMapsDo(steps), { runs, project });
  });
}
