// `deno task test`: looks for what the tests need, runs them and the examples of the documentation,
// each of these in namespaces of its own, and closes with a plain count. Its arguments go to
// `deno test`; with --together, for emulated machines, tests/together.ts runs in place of the files one
// by one, and of the examples only those of the kinds of links.
import { existsSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { fetchImports } from "./fetch_imports.ts";
import { includeDirs } from "./headers/headers.ts";

const TOGETHER = "--together";
const together = Deno.args.includes(TOGETHER);
const FLAGS = Deno.args.filter((arg) => arg !== TOGETHER);

/** Arguments of `deno test`, a list for each run of it. */
const RUNS = [
  together ? ["tests/together.ts"] : ["--ignore=tests/bench,tests/kernels,tests/site", "tests"],
  [
    ...["--doc", "--preload=tests/own_namespace.ts"],
    ...(together ? ["src/link"] : ["README.md", "docs", "mod.ts", "src", "ffi"]),
  ],
];

/** Commands that tests cannot do without, and the Debian packages that bring them. */
const PACKAGES = { ip: "iproute2", bridge: "iproute2" };

/** CAP_NET_ADMIN and CAP_SYS_ADMIN. */
const CAPABILITIES = 1n << 12n | 1n << 21n;

function stop(message: string): never {
  console.error(message);
  Deno.exit(1);
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

async function requireCapabilities(): Promise<void> {
  const [, effective] = /^CapEff:\s*(\w+)/m.exec(Deno.readTextFileSync("/proc/self/status"))!;
  if ((BigInt(`0x${effective}`) & CAPABILITIES) === CAPABILITIES) return;
  // A new network namespace reaches no registry.
  await fetchImports();
  includeDirs();
  const args = ["-Urmn", Deno.execPath(), "run", "-A", "tests/run.ts", ...Deno.args];
  console.log("Not root: the tests run in namespaces of their own, by unshare -Urmn");
  const { code } = await new Deno.Command("unshare", { args }).spawn().status;
  Deno.exit(code);
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The counts in the summary of `deno test`; none if it died before it came to that. */
function countsOf(output: string): Counts {
  const summary = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?:.*? \| (\d+) ignored)?/gm;
  const [, ...numbers] = [...stripVTControlCharacters(output).matchAll(summary)].at(-1) ?? [];
  const [passed = 0, failed = 0, skipped = 0] = numbers.map((number) => Number(number ?? 0));
  return { passed, failed, skipped };
}

async function runTests(args: string[]): Promise<Counts> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--permit-no-files", ...FLAGS, ...args],
    env: {
      ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }),
      // Behind a proxy, npm's certificate is one that only the machine's own store knows.
      DENO_TLS_CA_STORE: "system,mozilla",
    },
    stdout: "piped",
  }).spawn();
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    Deno.stdout.writeSync(new TextEncoder().encode(text));
  }
  const counts = countsOf(output);
  const { success } = await child.status;
  if (!success && counts.failed === 0) counts.failed = 1; // a crash, or a module that does not load
  return counts;
}

requireCommands();
await requireCapabilities();
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const args of RUNS) {
  const counts = await runTests(args);
  for (const key of ["passed", "failed", "skipped"] as const) total[key] += counts[key];
}
const { passed, failed, skipped } = total;
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
Deno.exit(failed === 0 && passed > 0 ? 0 : 1);
