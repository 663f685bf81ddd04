/**
 * Measuring side by side: contenders take turns, pairs are compared round by round.
 *
 * @module
 */

/** What one contender took for the job, once. */
export interface Sample {
  /** Milliseconds on the clock. */
  readonly ms: number;
  /** Milliseconds of processor time, user and system. */
  readonly cpu_ms: number;
}

/** A line of the report: netloom and one rival, or netloom alone. */
export interface Row {
  /** The job. */
  readonly job: string;
  /** netloom's median, in `unit`. */
  readonly netloom: number;
  /** Median processor time of netloom, in seconds. */
  readonly cpu_s?: number;
  /** Who it is compared with. */
  readonly rival?: string;
  /** The rival's median, in `unit`. */
  readonly rivals?: number;
  /** Median processor time of the rival, in seconds. */
  readonly rivals_cpu_s?: number;
  /** The median of the rounds' ratios, netloom to rival. */
  readonly ratio?: number;
  /** What the ratio, or the median where there is no rival, must not exceed. */
  readonly goal?: number;
  /** The goal is to be reached, rather than not to be exceeded. */
  readonly atLeast?: boolean;
  /** Default: milliseconds. */
  readonly unit?: string;
}

/** What every benchmark is told. */
export interface BenchOptions {
  /** Fewer rounds, smaller jobs: to see that everything works. */
  readonly quick: boolean;
  /** Runs in a distribution. */
  readonly runs: number;
  /** Says on standard error how far it has come. */
  progress(message: string): void;
}

/** Reads the processor time of this process in milliseconds. Deno has this, its types do not. */
export function cpuTime(): number {
  const usage = (Deno as unknown as { cpuUsage(): { user: number; system: number } }).cpuUsage();
  return (usage.user + usage.system) / 1000;
}

/** The middle value, or the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value that a share of all does not exceed: `quantile(values, 0.99)`. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
}

/**
 * Runs every contender once a round, in turns: the next round starts with the next of them, so that none
 * always follows the same one.
 */
export async function takeTurns<K extends string, S>(
  rounds: number,
  contenders: Readonly<Record<K, () => Promise<S>>>,
  progress: (message: string) => void,
): Promise<Record<K, S[]>> {
  const names = Object.keys(contenders) as K[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as S[]])) as Record<K, S[]>;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length]!;
      progress(`round ${round + 1} of ${rounds}, ${name}`);
      samples[name].push(await contenders[name]());
    }
  }
  return samples;
}

/** The row for a job that netloom did as often as the rival. */
export function compare(
  job: string,
  netloom: readonly Sample[],
  rival: string,
  rivals: readonly Sample[],
  goal?: number,
): Row {
  return {
    ...alone(job, netloom),
    rival,
    rivals: median(rivals.map(({ ms }) => ms)),
    rivals_cpu_s: median(rivals.map(({ cpu_ms }) => cpu_ms)) / 1000,
    ratio: median(netloom.map(({ ms }, i) => ms / rivals[i]!.ms)),
    ...(goal === undefined ? {} : { goal }),
  };
}

/** The row for a job that only netloom did. */
export function alone(job: string, netloom: readonly Sample[]): Row {
  return {
    job,
    netloom: median(netloom.map(({ ms }) => ms)),
    cpu_s: median(netloom.map(({ cpu_ms }) => cpu_ms)) / 1000,
  };
}

/** The rows as lines of text, one column below the other. */
export function table(rows: readonly Row[]): string {
  const head = ["job", "netloom", "CPU s", "rival", "rival's", "CPU s", "ratio", "goal", ""];
  const lines = [head, ...rows.map(cells)];
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  const left = new Set([0, 3, 8]);
  return lines.map((line) =>
    line.map((cell, i) => left.has(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))
      .join("  ").trimEnd()
  ).join("\n");
}

function cells(row: Row): string[] {
  const { job, netloom, cpu_s, rival, rivals, rivals_cpu_s, ratio, goal, unit = "ms" } = row;
  const { atLeast = false } = row;
  const [sign, reached] = atLeast
    ? [">=", (ratio ?? netloom) >= goal!]
    : ["<=", (ratio ?? netloom) <= goal!];
  const seconds = (value?: number) => value === undefined ? "" : value.toFixed(3);
  const met = goal === undefined ? "" : reached ? "met" : "missed";
  return [
    job,
    `${amount(netloom)} ${unit}`,
    seconds(cpu_s),
    rival ?? "",
    rivals === undefined ? "" : `${amount(rivals)} ${unit}`,
    seconds(rivals_cpu_s),
    ratio?.toFixed(3) ?? "",
    goal === undefined ? "" : `${sign} ${goal}`,
    met,
  ];
}

/** Three digits and more. */
function amount(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}
