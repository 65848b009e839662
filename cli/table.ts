import { printable } from "./output.ts";

/** Rows whose widths are measured; longer tables go on in these widths. */
const measuredRows = 500;

/** Lays rows out in columns, as they come. The columns named in `right` are numbers. */
export async function* table(
  heading: readonly string[],
  right: ReadonlySet<string>,
  rows: AsyncIterable<readonly string[]>,
): AsyncGenerator<string> {
  let widths: readonly number[] | undefined;
  let measured: (readonly string[])[] = [heading];
  for await (const row of rows) {
    const shown = row.map(printable);
    if (widths) yield laidOut(shown, widths);
    else if (measured.push(shown) === measuredRows) {
      widths = widthsOf(measured);
      for (const early of measured) yield laidOut(early, widths);
      measured = [];
    }
  }
  if (!widths && measured.length > 1) for (const row of measured) yield laidOut(row, widthsOf(measured));

  function laidOut(row: readonly string[], columns: readonly number[]): string {
    const cells = row.map((cell, i) => {
      const width = columns[i] ?? 0;
      return right.has(heading[i] ?? "") ? cell.padStart(width) : cell.padEnd(width);
    });
    return `${cells.join("  ").trimEnd()}\n`;
  }
}

function widthsOf(rows: readonly (readonly string[])[]): readonly number[] {
  const columns = Math.max(...rows.map((row) => row.length));
  return Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
}
