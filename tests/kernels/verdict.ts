// Problems of a run on a kernel: failed tests, and tests that were skipped without need.
import type { TestResult } from "./results.ts";
import type { Column } from "./table.ts";

/** The series whose kernel has everything that netloom knows: nothing may be skipped there. */
const COMPLETE = "6.12";

/** Reasons to skip a test that hold also there. */
const ALLOWED = [
  "for kernels without it", // tests the error there
];

/** The problems of a run, a line each. */
export function problems(column: Column): string[] {
  const { results, failure, label } = column;
  const failed = results.filter(({ outcome }) => outcome === "failed");
  return [
    ...(failure ? [failure] : []),
    ...failed.map(({ file, name }) => `${file}: failed: ${name}`),
    ...results.filter((test) => test.outcome === "skipped" && !maySkip(test, column))
      .map(({ file, name }) => `${file}: skipped on ${label}: ${name}`),
  ];
}

function maySkip({ reason = "" }: TestResult, { label, facts }: Column): boolean {
  const [, kind] = /^this kernel has no (\S+)$/.exec(reason) ?? [];
  if (kind !== undefined && facts?.kinds[kind]) return false;
  return label !== COMPLETE || ALLOWED.includes(reason);
}
