// The steps at which tests inject faults: a sample in the suite, all with ALL_STEPS=1 (`deno task test:faults`).

/** Whether all steps are tested. */
export const ALL_STEPS: boolean = Deno.env.get("ALL_STEPS") === "1";

/** One in so many steps is tested in the suite. */
const SAMPLE = 5;

/** Some of the numbers 1 to `count`, others each time; or all. */
export function stepsUpTo(count: number): number[] {
  const all = Array.from({ length: count }, (_, i) => i + 1);
  if (ALL_STEPS) return all;
  const first = Math.floor(Math.random() * SAMPLE);
  return all.filter((_, i) => i % SAMPLE === first);
}
