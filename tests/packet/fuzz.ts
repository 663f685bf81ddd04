// `deno task fuzz [--count N] [--seed N] [--only INDEX]`: random bytes, and packets of every kind, changed
// and cut off, through everything that reads packets. An input is made of the seed and its number alone.
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz_target.ts";

const USAGE = `deno task fuzz [OPTION...]

  --count N  inputs; default 10000000
  --seed N   the run to repeat; default a random one
  --only N   one input of it: the number that a failure was reported with`;

/** Inputs between two lines of progress. */
const CHUNK = 50_000;

function number(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^\d+$/.test(text)) return Number(text);
  console.error(`--${name} is a number: got "${text}"\n\n${USAGE}`);
  Deno.exit(2);
}

function readOptions() {
  const option = { type: "string" } as const;
  try {
    return parseArgs({ options: { count: option, seed: option, only: option } }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    Deno.exit(2);
  }
}

function run(seed: number, index: number): void {
  try {
    fuzz(seed, index);
  } catch (error) {
    console.error(`\nInput ${index} fails. Again: deno task fuzz --seed ${seed} --only ${index}`);
    console.error(error);
    Deno.exit(1);
  }
}

const options = readOptions();
const seed = number("seed", options.seed, crypto.getRandomValues(new Uint32Array(1))[0]!);
if (options.only !== undefined) {
  run(seed, number("only", options.only, 0));
  console.log(`Input ${options.only} of seed ${seed} passes`);
  Deno.exit(0);
}
const count = number("count", options.count, 10_000_000);
console.log(`${count} inputs, seed ${seed}`);
const started = performance.now();
const progress = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
for (let done = 0; done < count;) {
  const until = Math.min(done + CHUNK, count);
  const seconds = Math.round((performance.now() - started) / 1000);
  const line = `${done} of ${count} inputs, ${seconds} s`;
  // Before they run: one that never ends is among the ones after the last number.
  progress(
    Deno.stderr.isTerminal() ? `\r\x1b[K${line}` : done % (CHUNK * 20) === 0 ? `${line}\n` : "",
  );
  for (; done < until; done++) run(seed, done);
}
if (Deno.stderr.isTerminal()) progress("\r\x1b[K");
console.log(`${count} inputs pass, ${Math.round((performance.now() - started) / 1000)} s`);
