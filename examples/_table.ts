/**
 * Aligned columns for the terminal.
 *
 * @module
 */

/** A row: the text of each column by its heading; numbers are right-aligned. */
export type Row = Readonly<Record<string, string | number | undefined>>;

/** Prints rows under the headings of the first one. */
export function printTable(rows: readonly Row[]): void {
  console.log(formatTable(rows));
}

/** Rows under the headings of the first one, as lines of text. */
export function formatTable(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {}).map((heading) => {
    const values = rows.map((row) => row[heading] ?? "");
    const right = values.every((value) => typeof value === "number" || value === "");
    const digits = Math.max(...values.map((value) => String(value).split(".")[1]?.length ?? 0));
    const cells = values.map((it) => right && it !== "" ? Number(it).toFixed(digits) : String(it));
    const lines = [heading, ...cells];
    const width = Math.max(...lines.map((line) => line.length));
    return lines.map((line) => right ? line.padStart(width) : line.padEnd(width));
  });
  return ["", ...rows].map((_, i) => columns.map((column) => column[i]).join("  ").trimEnd())
    .join("\n");
}
