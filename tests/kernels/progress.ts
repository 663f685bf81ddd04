// The progress of a long run.
import { fileOf } from "./results.ts";

/** Seconds between two lines of progress. */
const EVERY = 30;

/**
 * Reports the progress of a run now and then, and failures at once.
 *
 * @param report Called with a line to print
 * @returns A function to call with the output of `deno test`
 */
export function progress(report: (line: string) => void): (text: string) => void {
  let rest = "";
  let file = "";
  let tests = 0;
  let last = performance.now();
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (/\.\.\. FAILED|has been running for over/.test(line)) report(line.trim());
      if (/^\S.* \.\.\. (ok|FAILED|ignored)/.test(line)) tests++;
      file = fileOf(line) ?? file;
    }
    if (performance.now() - last < EVERY * 1000) return;
    last = performance.now();
    report(`${tests} tests, in ${file}`);
  };
}
