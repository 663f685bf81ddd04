// A run of the suite on one kernel.
import { quote, runInGuest } from "./guest.ts";
import { CACHE, kernel } from "./kernel.ts";
import { follow } from "./process.ts";
import { progress } from "./progress.ts";
import { readFacts, readResults } from "./results.ts";
import { GUEST_ENV, GUEST_FLAGS } from "./selection.ts";
import type { Column } from "./table.ts";

/** The label of the machine's own kernel. */
export const RUNNING = "running";

/** A run: its arguments and its limits. */
export interface ColumnOptions {
  /** For `deno test`: flags and paths. */
  readonly args: readonly string[];
  /** Seconds until a run is taken for hung. */
  readonly timeout: number;
  /** Ends the run. */
  readonly signal: AbortSignal;
  /** Whether to print the output of the tests as it comes, instead of the progress. */
  readonly live: boolean;
}

interface Run {
  readonly code: number | undefined;
  readonly failure?: string;
  readonly output: string;
}

type OnOutput = (text: string) => void;

/** Runs the suite on a kernel; reports failures at once. */
export async function column(label: string, options: ColumnOptions): Promise<Column> {
  const start = performance.now();
  const report = (text: string) => console.log(`${label}: ${text}`);
  report("started");
  Deno.mkdirSync(CACHE, { recursive: true });
  const log = `${CACHE}${label}.log`;
  using file = Deno.createSync(log);
  const show = options.live ? print : progress(report);
  const onOutput = (text: string) => {
    file.writeSync(new TextEncoder().encode(text));
    show(text);
  };
  const run = label === RUNNING ? runHere : runThere(label);
  const { code, failure, output } = await run(options, onOutput)
    .catch((error): Run => ({ code: undefined, failure: Deno.inspect(error), output: "" }));
  const seconds = Math.round((performance.now() - start) / 1000);
  report(`ended after ${seconds} s; its output is in ${log}`);
  if (code !== 0 && !options.live) {
    console.log(output.slice(Math.max(0, output.indexOf("\n ERRORS "))));
  }

  const results = readResults(output);
  // A test that hangs has said its name.
  const last = output.trimEnd().split("\n").at(-1);
  const wrong = failure
    ? `${failure}\nThe last it wrote: ${last}`
    : code !== 0 && !results.some(({ outcome }) => outcome === "failed")
    ? `The run ended with exit code ${code}`
    : undefined;
  const facts = readFacts(output);
  return { label, facts, results, seconds, ...(wrong === undefined ? {} : { failure: wrong }) };
}

/** Writes text as it is. */
export function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

/** The suite's command line. */
function suite(args: readonly string[]): string[] {
  return [Deno.execPath(), "run", "-A", "--no-check", "tests/kernels/suite.ts", ...args];
}

async function runHere(options: ColumnOptions, onOutput: OnOutput): Promise<Run> {
  const { timeout, signal } = options;
  // timeout(1) ends all that the suite has started, too.
  const args = ["-k", "10", String(timeout), ...suite(options.args)];
  const { code, output } = await follow("timeout", { args, signal }, onOutput);
  if (code !== 124 && code !== 137) return { code, output };
  return { code: undefined, failure: `The run hung: it had ${timeout} s`, output };
}

function runThere(series: string) {
  return async ({ args, timeout, signal }: ColumnOptions, onOutput: OnOutput): Promise<Run> => {
    const command = suite([...GUEST_FLAGS, ...args]).map(quote).join(" ");
    const env = GUEST_ENV;
    return await runInGuest({
      ...{ kernel: await kernel(series), command, env, timeout, signal, onOutput },
    });
  };
}
