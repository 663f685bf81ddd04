/**
 * Medians and ranges of the rounds, for each way.
 *
 * @module
 */
import type { Row } from "../_table.ts";
import type { Measured } from "./measure.ts";

/** All rounds by the name of the way. */
export type Rounds = ReadonlyMap<string, readonly Measured[]>;

/** The medians of a way, with their ranges. */
export interface Summary extends Measured {
  readonly way: string;
  readonly lowest: Measured;
  readonly highest: Measured;
}

/** By figure: the heading of its column and its decimal places. */
const COLUMNS: Readonly<Record<keyof Measured, readonly [heading: string, digits: number]>> = {
  gigabits: ["TCP, Gbit/s", 2],
  processors: ["processors busy", 2],
  packets: ["64-byte packets/s", 0],
  latency: ["ping, µs", 1],
};
const FIGURES = Object.keys(COLUMNS) as (keyof Measured)[];

/** The median, the lowest and the highest value of each figure. */
export function summaries(rounds: Rounds): Summary[] {
  return [...rounds].map(([way, all]) => {
    const sorted = (figure: keyof Measured) => all.map((one) => one[figure]).sort((a, b) => a - b);
    const at = (index: number): Measured => ({
      gigabits: sorted("gigabits").at(index)!,
      processors: sorted("processors").at(index)!,
      packets: sorted("packets").at(index)!,
      latency: sorted("latency").at(index)!,
    });
    return { way, ...at(all.length >> 1), lowest: at(0), highest: at(-1) };
  });
}

/** Rows of text: `9.15 (8.90-9.31)`. */
export function withRanges(rounds: Rounds): Row[] {
  return rows(rounds, ({ lowest, highest, ...medians }, figure, digits) => {
    const [low, median, high] = [lowest, medians, highest].map((it) => it[figure].toFixed(digits));
    return `${median} (${low}-${high})`;
  });
}

/** Rows of numbers, for a chart. */
export function mediansOnly(rounds: Rounds): Row[] {
  return rows(rounds, (summary, figure, digits) => Number(summary[figure].toFixed(digits)));
}

function rows(
  rounds: Rounds,
  cell: (summary: Summary, figure: keyof Measured, digits: number) => string | number,
): Row[] {
  return summaries(rounds).map((summary) => ({
    "connected by": summary.way,
    ...Object.fromEntries(FIGURES.map((figure) => {
      const [heading, digits] = COLUMNS[figure];
      return [heading, cell(summary, figure, digits)];
    })),
  }));
}
