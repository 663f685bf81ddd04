// The matrix of results: a column for each kernel, a row for each link kind and group of options.
import type { Facts, TestResult } from "./results.ts";

/** A run of the suite on one kernel. */
export interface Column {
  /** The series of a guest's kernel, or `running`. */
  readonly label: string;
  /** Absent when the run did not come so far. */
  readonly facts: Facts | undefined;
  readonly results: readonly TestResult[];
  readonly seconds: number;
  /** Why the run as a whole failed. */
  readonly failure?: string;
}

/** The kinds that have a row also when nothing tests them. */
const KINDS = "veth bridge dummy vlan macvlan macvtap ipvlan ipvtap ifb tun tap".split(" ");

const EXAMPLES = "examples of doc comments";

/** The row of a file: `ipvlan`, `bridge: port`, or its folder, such as `netlink`. */
export function rowOf(file: string): string {
  if (!file.startsWith("tests/")) return EXAMPLES;
  const [, folder, stem] = /^tests\/(?:(.*)\/)?(.*?)(?:_test)?\.ts$/.exec(file)!;
  if (folder === "kernels") return stem!.replaceAll("_", " ");
  const [kind, ...group] = stem!.split("_");
  if (folder !== "link" || !KINDS.includes(kind!)) {
    return folder ?? stem!.replaceAll("_", " ");
  }
  return group.length > 0 ? `${kind}: ${group.join(" ")}` : kind!;
}

/** All rows, kinds first and in their order; `tested`: without kinds that no test was run of. */
export function rowsOf(columns: readonly Column[], tested = false): string[] {
  const found = columns.flatMap(({ results }) => results.map(({ file }) => rowOf(file)));
  const rank = (row: string) => {
    const at = KINDS.indexOf(row.split(":")[0]!);
    return at < 0 ? KINDS.length + Number(row === EXAMPLES) : at;
  };
  // TAPs are tested with TUNs.
  const kinds = KINDS.filter((kind) => kind !== "tap");
  return [...new Set(tested ? found : [...kinds, ...found])].sort((a, b) =>
    rank(a) - rank(b) || (a < b ? -1 : Number(a > b))
  );
}

/** The text of a cell: a row on a kernel. */
export function cell(row: string, { results, failure }: Column): string {
  const own = results.filter(({ file }) => rowOf(file) === row);
  const passed = own.filter(({ outcome }) => outcome === "passed");
  const failed = own.filter(({ outcome }) => outcome === "failed");
  const skipped = own.filter(({ outcome }) => outcome === "skipped");
  const words = [
    ...(failed.length > 0 ? [`FAILED ${failed.length}`] : []),
    ...(passed.length > 0 ? [`passed ${passed.length}`] : []),
    ...Array.from(
      Map.groupBy(skipped, ({ reason }) => reason ?? "no reason given"),
      ([reason, tests]) => `skipped ${tests.length} (${reason})`,
    ),
  ];
  return words.join(", ") || (failure ? "not reached" : "–");
}

/** The table as lines of text, columns aligned; `tested` as for {@link rowsOf}. */
export function asText(columns: readonly Column[], tested = false): string {
  const lines = [["", ...columns.map(title)], ...body(columns, tested)];
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines.map((line) => line.map((text, i) => text.padEnd(widths[i]!)).join("  ").trimEnd())
    .join("\n");
}

/** The table in Markdown. */
export function asMarkdown(columns: readonly Column[]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |\n`;
  return line(["", ...columns.map(title)]) + line(["", ...columns].map(() => "---")) +
    body(columns).map(line).join("");
}

function title({ label, facts }: Column): string {
  return facts === undefined || label === facts.release ? label : `${label}: ${facts.release}`;
}

function body(columns: readonly Column[], tested = false): string[][] {
  return rowsOf(columns, tested).map((row) => [row, ...columns.map((column) => cell(row, column))]);
}
