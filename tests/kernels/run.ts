// `deno task test:kernels`: runs the test suite on the running kernel and, in QEMU, on Debian's kernels,
// and prints one table of the results.
//
//     deno task test:kernels [OPTION]... [PATH]...
//     deno task test:kernels --kernel 6.12 tests/link/ipvlan_test.ts    # the result in 40 s
//
//     --kernel NAME      `running`, or a series of Debian kernels: 6.1, 6.12; default: these three
//     --filter TEXT      for `deno test`, as PATHs are
//     --timeout SECONDS  until a run is taken for hung; default: 3000
//     --json FILE        writes all results
//     --write            writes the table to docs/contributors/kernels.md
//     --command LINE     runs a shell command in a guest instead, 6.12 unless --kernel says another
import { existsSync } from "node:fs";
import { parseArgs } from "@std/cli";
import { fetchImports } from "../fetch_imports.ts";
import { column, type ColumnOptions, print, RUNNING } from "./column.ts";
import { missingPackages, output } from "./command.ts";
import { runInGuest } from "./guest.ts";
import { kernel } from "./kernel.ts";
import { page } from "./page.ts";
import { asText, type Column } from "./table.ts";
import { problems } from "./verdict.ts";

const ALL = [RUNNING, "6.1", "6.12"];
const PAGE = new URL("../../docs/contributors/kernels.md", import.meta.url).pathname;

const options = parseArgs(Deno.args, {
  string: ["_", "kernel", "filter", "timeout", "json", "command"],
  boolean: ["write"],
  collect: ["kernel"],
  unknown: (arg) => {
    if (arg.startsWith("-")) stop(`Unknown option ${arg}`);
    return true;
  },
});
const paths = options._.map(String);
for (const path of paths) if (!existsSync(path)) stop(`No such path: ${path}`);
const timeout = Number(options.timeout ?? 3000);
if (!(timeout > 0)) stop(`--timeout must be a number of seconds: it is ${options.timeout}`);
const labels = options.kernel.length > 0 ? options.kernel : ALL;
const some = paths.length > 0 || options.filter !== undefined;
if (options.write && (some || labels !== ALL)) {
  stop("--write is for a run of everything on all kernels");
}

function stop(message: string): never {
  console.error(message);
  Deno.exit(2);
}

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => interrupted.abort());
}

function exit(code: number): never {
  Deno.exit(interrupted.signal.aborted ? 130 : code);
}

/** As many guests at once as there are processors; the machine's own kernel before, undisturbed. */
async function columns(): Promise<Column[]> {
  const { signal } = interrupted;
  const filter = options.filter === undefined ? [] : [`--filter=${options.filter}`];
  const live = some && labels.length === 1;
  const how: ColumnOptions = { args: [...filter, ...paths], timeout, signal, live };
  const found = new Map<string, Column>();
  if (labels.includes(RUNNING)) found.set(RUNNING, await column(RUNNING, how));
  const waiting = labels.filter((label) => label !== RUNNING);
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, async () => {
    for (let label = waiting.shift(); label !== undefined; label = waiting.shift()) {
      if (!signal.aborted) found.set(label, await column(label, how));
    }
  }));
  if (signal.aborted) exit(130);
  return labels.map((label) => found.get(label)!);
}

if (labels.some((label) => label !== RUNNING) || options.command !== undefined) {
  const missing = missingPackages();
  if (missing) stop(missing);
  if (Deno.build.arch !== "x86_64") stop("Guests are x86-64: on this machine --kernel running");
  await fetchImports(); // guests reach no registry
}

if (options.command !== undefined) {
  const { signal } = interrupted;
  const { command } = options;
  const of = await kernel(options.kernel.at(-1) ?? "6.12");
  const run = await runInGuest({ kernel: of, command, timeout, signal, onOutput: print });
  if (run.failure) console.error(run.failure);
  exit(run.code ?? 1);
}

const matrix = await columns();
if (options.json !== undefined) Deno.writeTextFileSync(options.json, JSON.stringify(matrix));
if (options.write) {
  Deno.writeTextFileSync(PAGE, page(matrix));
  await output(Deno.execPath(), ["fmt", "-q", PAGE]);
}
console.log(`\n${asText(matrix, some)}\n`);
const wrong = matrix.flatMap((column) =>
  problems(column).map((line) => `${column.label}: ${line}`)
);
for (const line of wrong) console.error(line);
console.log(wrong.length === 0 ? "All is well on all kernels" : `${wrong.length} problems`);
exit(wrong.length === 0 ? 0 : 1);
