// `deno task test:kernels`: the test suite on the running kernel and, in QEMU, on Debian's, and one
// table of what was tested where.
//
//     deno task test:kernels [OPTION]... [PATH]...
//
//     --kernel NAME      `running`, or a series of Debian kernels: 6.1, 6.12; default: these three
//     --filter TEXT      for `deno test`, as PATHs are
//     --timeout SECONDS  until a run is taken for hung; default: 1200
//     --json FILE        writes all results
//     --markdown FILE    writes the table as a page
//     --command LINE     runs a shell command in a guest instead, 6.12 unless --kernel says another
import { parseArgs } from "@std/cli";
import { missingPackages, output } from "./command.ts";
import { quote, runInGuest } from "./guest.ts";
import { kernel } from "./kernel.ts";
import { page } from "./page.ts";
import { readFacts, readResults } from "./results.ts";
import { GUEST_FLAGS } from "./selection.ts";
import { asText, type Column } from "./table.ts";
import { problems } from "./verdict.ts";

const CACHE = new URL("../../.cache/kernels/", import.meta.url).pathname;
const RUNNING = "running";

const options = parseArgs(Deno.args, {
  string: ["_", "kernel", "filter", "timeout", "json", "markdown", "command"],
  collect: ["kernel"],
  unknown: (arg) => {
    if (arg.startsWith("-")) stop(`Unknown option ${arg}`);
    return true;
  },
});
const timeout = Number(options.timeout ?? 1200);
if (!(timeout > 0)) stop(`--timeout must be a number of seconds: it is ${options.timeout}`);
const labels = options.kernel.length > 0 ? options.kernel : [RUNNING, "6.1", "6.12"];

function stop(message: string): never {
  console.error(message);
  Deno.exit(2);
}

/** The suite's command line. */
function suite(flags: string[]): string[] {
  const filter = options.filter === undefined ? [] : [`--filter=${options.filter}`];
  const paths = options._.map(String);
  return [Deno.execPath(), "run", "-A", "tests/kernels/suite.ts", ...flags, ...filter, ...paths];
}

interface Run {
  code: number | undefined;
  failure?: string;
  output: string;
}

async function runHere(onOutput: (text: string) => void): Promise<Run> {
  // timeout(1) ends all that the suite has started, too.
  const args = ["-k", "10", String(timeout), ...suite([])];
  const child = new Deno.Command("timeout", { args, stdin: "null", stdout: "piped" }).spawn();
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    onOutput(text);
  }
  const { code } = await child.status;
  if (code !== 124 && code !== 137) return { code, output };
  return { code: undefined, failure: `The run hung for ${timeout} s`, output };
}

async function runThere(series: string, onOutput: (text: string) => void): Promise<Run> {
  const command = suite(["--no-check", ...GUEST_FLAGS]).map(quote).join(" ");
  return await runInGuest({ kernel: await kernel(series), command, timeout, onOutput });
}

/** Runs the suite on a kernel; says what goes wrong as it does. */
async function column(label: string): Promise<Column> {
  const start = performance.now();
  const report = (text: string) => console.log(`${label}: ${text}`);
  report("started");
  let rest = "";
  const onOutput = (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (/\.\.\. FAILED|has been running for over/.test(line)) report(line.trim());
    }
  };
  const run: Run = await (label === RUNNING ? runHere(onOutput) : runThere(label, onOutput))
    .catch((error) => ({ code: undefined, failure: Deno.inspect(error), output: "" }));
  const seconds = Math.round((performance.now() - start) / 1000);
  const log = `${CACHE}${label}.log`;
  Deno.mkdirSync(CACHE, { recursive: true });
  Deno.writeTextFileSync(log, run.output);
  report(`ended after ${seconds} s; its output is in ${log}`);
  if (run.code !== 0) console.log(run.output.slice(Math.max(0, run.output.indexOf("\n ERRORS "))));

  const results = readResults(run.output);
  const failure = run.failure ??
    (run.code !== 0 && !results.some(({ outcome }) => outcome === "failed")
      ? `The run ended with exit code ${run.code}`
      : undefined);
  const facts = readFacts(run.output);
  return { label, facts, results, seconds, ...(failure === undefined ? {} : { failure }) };
}

/** As many guests at once as there are processors; the machine's own kernel before, undisturbed. */
async function columns(): Promise<Column[]> {
  const found = new Map<string, Column>();
  if (labels.includes(RUNNING)) found.set(RUNNING, await column(RUNNING));
  const waiting = labels.filter((label) => label !== RUNNING);
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, async () => {
    for (let label = waiting.shift(); label !== undefined; label = waiting.shift()) {
      found.set(label, await column(label));
    }
  }));
  return labels.map((label) => found.get(label)!);
}

const guests = labels.filter((label) => label !== RUNNING);
if (guests.length > 0 || options.command !== undefined) {
  const missing = missingPackages();
  if (missing) stop(missing);
  if (Deno.build.arch !== "x86_64") stop("Guests are x86-64: on this machine --kernel running");
}

if (options.command !== undefined) {
  const onOutput = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));
  const series = options.kernel.at(-1) ?? "6.12";
  const { command } = options;
  const run = await runInGuest({ kernel: await kernel(series), command, timeout, onOutput });
  if (run.failure) console.error(run.failure);
  Deno.exit(run.code ?? 1);
}

const matrix = await columns();
if (options.json !== undefined) Deno.writeTextFileSync(options.json, JSON.stringify(matrix));
if (options.markdown !== undefined) {
  Deno.writeTextFileSync(options.markdown, page(matrix));
  await output(Deno.execPath(), ["fmt", "-q", options.markdown]);
}
console.log(`\n${asText(matrix)}\n`);
const wrong = matrix.flatMap((column) =>
  problems(column).map((line) => `${column.label}: ${line}`)
);
for (const line of wrong) console.error(line);
console.log(wrong.length === 0 ? "All is well on all kernels" : `${wrong.length} problems`);
Deno.exit(wrong.length === 0 ? 0 : 1);
