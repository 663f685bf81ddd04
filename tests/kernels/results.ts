// Results from the output of a run. A report in JUnit's format would not do: it puts tests under the
// file that calls `Deno.test`, which is often a helper, and a crash leaves no report.

/** The words before {@link Facts} in the output. */
export const FACTS = "kernel under test: ";

/** Facts about a kernel. */
export interface Facts {
  /** As `uname -r` prints it. */
  readonly release: string;
  /** By kind of link: whether the kernel has it. */
  readonly kinds: Readonly<Record<string, boolean>>;
}

/** One test. */
export interface TestResult {
  /** The file, from the project's directory: `tests/link/veth_test.ts`. */
  readonly file: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** The reason of a skipped test: `(ignored: REASON)` in its name. */
  readonly reason?: string;
}

const OUTCOMES = { ok: "passed", FAILED: "failed", ignored: "skipped" } as const;

/** Output of tests and reports of failures: both may contain lines that look like results. */
const WRITTEN =
  /^-+ (?:\S+ )?output -+$[^]*?^-+ (?:\S+ )?output end -+$|^ ERRORS $[^]*?^ FAILURES $/gm;

/** A line of `deno test` between the name and the result of a test that takes a minute. */
const LATE = /'[^\n]*' has been running for over \(\w+\)\n/g;

/** The file that a line says the next tests are from: `deno test`'s own, or one of tests/together.ts. */
export function fileOf(line: string): string | undefined {
  return /^running \d+ tests? from (?:\.\/)?(.+)$/.exec(line)?.[1] ??
    /^(tests\/\S+): \.\.\. ok /.exec(line)?.[1];
}

/** Reads the results from the output of one or more runs of `deno test`. */
export function readResults(output: string): TestResult[] {
  const results: TestResult[] = [];
  let file = "";
  for (const line of output.replace(WRITTEN, "").replace(LATE, "").split("\n")) {
    const next = fileOf(line);
    if (next) {
      file = next.replace(/#\d.*/, "");
      continue;
    }
    // Steps are indented.
    const test = /^(\S.*) \.\.\. (ok|FAILED|ignored)(?: .*)?$/.exec(line);
    if (!test) continue;
    const [, name, word] = test as unknown as [string, string, keyof typeof OUTCOMES];
    const reason = /\(ignored: (.*)\)$/.exec(name)?.[1];
    const outcome = OUTCOMES[word];
    results.push({ file, name, outcome, ...(outcome === "skipped" && reason ? { reason } : {}) });
  }
  return results;
}

/** Reads the facts about the kernel; `undefined` if the run ended before them. */
export function readFacts(output: string): Facts | undefined {
  const line = output.split("\n").find((line) => line.startsWith(FACTS));
  return line === undefined ? undefined : JSON.parse(line.slice(FACTS.length));
}
