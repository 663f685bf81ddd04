// What is to be seen of a long run while it goes on.
import { fileOf } from "./results.ts";

/** Seconds between two lines on how far a run is. */
const EVERY = 30;

/**
 * Tells how far a run is, now and then, and what goes wrong in it, at once.
 *
 * @param report Called with a line to print
 * @returns To be called with what `deno test` prints
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
