// `deno task test [FLAG OF deno test]... [PATH]...`: finds what the tests need, runs them and the
// examples of the documentation, and closes with a plain count. Without paths, the whole suite.
//
// Files run several at a time, each in namespaces of its own. With --together, for emulated machines,
// one module has all files (tests/together.ts), and of the examples only those of src/link run.
import { existsSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { fetchImports } from "./fetch_imports.ts";
import { includeDirs } from "./headers/headers.ts";
import { canIsolate, isolated } from "./isolation.ts";
import { type Job, jobs, jobsTogether } from "./jobs.ts";

const TOGETHER = "--together";
const together = Deno.args.includes(TOGETHER);
const flags = Deno.args.filter((arg) => arg.startsWith("-") && arg !== TOGETHER);
const paths = Deno.args.filter((arg) => !arg.startsWith("-"));

/** Commands that tests cannot do without, and the Debian packages that bring them. */
const PACKAGES = { ip: "iproute2", bridge: "iproute2" };

/** CAP_NET_ADMIN and CAP_SYS_ADMIN. */
const CAPABILITIES = 1n << 12n | 1n << 21n;

/** More than processors: most files wait for the kernel half of the time. */
const SLOTS = 2 * navigator.hardwareConcurrency;

/** Seconds after which a file that still runs is named. */
const LATE = 120;

function stop(message: string): never {
  console.error(message);
  Deno.exit(2);
}

function requireCommands(): void {
  // Ordinary users of Debian have no sbin in PATH.
  const path = `${Deno.env.get("PATH")}:/usr/sbin:/sbin`;
  Deno.env.set("PATH", path);
  for (const [command, name] of Object.entries(PACKAGES)) {
    if (path.split(":").some((directory) => existsSync(`${directory}/${command}`))) continue;
    stop(`Tests need the command ${command}. To install it: apt-get install -y ${name}`);
  }
}

function requirePaths(): void {
  for (const path of paths) {
    if (!existsSync(path)) {
      stop(`No such path: ${path}. The value of a flag follows "=": --filter=veth`);
    }
  }
}

async function requireCapabilities(): Promise<void> {
  const [, effective] = /^CapEff:\s*(\w+)/m.exec(Deno.readTextFileSync("/proc/self/status"))!;
  if ((BigInt(`0x${effective}`) & CAPABILITIES) === CAPABILITIES) return;
  const args = ["-Urmn", Deno.execPath(), "run", "-A", "tests/run.ts", ...Deno.args];
  console.log("Not root: the tests run in a user namespace, by unshare -Urmn");
  const { code } = await new Deno.Command("unshare", { args }).spawn().status;
  Deno.exit(code);
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The counts in the summary of `deno test`; zeros if it died before it wrote one. */
function countsOf(output: string): Counts {
  const summary = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?:.*? \| (\d+) ignored)?/gm;
  const [, ...numbers] = [...stripVTControlCharacters(output).matchAll(summary)].at(-1) ?? [];
  const [passed = 0, failed = 0, skipped = 0] = numbers.map((number) => Number(number ?? 0));
  return { passed, failed, skipped };
}

/** Runs a job; writes its output at once or, when others run as well, at its end. */
async function run(job: Job, apart: boolean): Promise<Counts> {
  const line = [Deno.execPath(), ...job.args];
  const [command, ...args] = apart ? isolated(line) : line;
  const child = new Deno.Command(command!, {
    args,
    env: {
      ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }),
      // Behind a proxy, npm's certificate is one that only the machine's own store knows.
      DENO_TLS_CA_STORE: "system,mozilla",
    },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const late = setInterval(() => console.error(`${job.name} still runs`), LATE * 1000);
  const write = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    if (!apart) write(text);
  }
  clearInterval(late);
  if (apart) write(output);
  const counts = countsOf(output);
  const { success } = await child.status;
  if (!success && counts.failed === 0) {
    console.error(`${job.name} fails`);
    counts.failed = 1; // a crash, or a module that does not load
  }
  return counts;
}

/** Runs all jobs, `slots` at a time. */
async function runAll(all: readonly Job[], slots: number, apart: boolean): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const waiting = [...all];
  await Promise.all(Array.from({ length: slots }, async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      const counts = await run(job, apart);
      for (const key of ["passed", "failed", "skipped"] as const) total[key] += counts[key];
    }
  }));
  return total;
}

requireCommands();
requirePaths();
if (!together) {
  // A new network namespace reaches no registry.
  await fetchImports();
  includeDirs();
}
await requireCapabilities();
const apart = !together && canIsolate();
const { passed, failed, skipped } = together
  ? await runAll(jobsTogether(flags), 1, false)
  : await runAll(jobs(paths, flags), apart ? SLOTS : 1, apart);
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
Deno.exit(failed === 0 && passed > 0 ? 0 : 1);
