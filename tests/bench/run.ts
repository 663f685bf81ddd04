/**
 * netloom beside its rivals, all in one run. `deno task bench [--only NAME] [--quick] [--json] [--runs N]`
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type BenchOptions, type Row, table } from "./_measure.ts";
import { batches } from "./batch.ts";
import { captures } from "./capture.ts";
import { command } from "./command.ts";
import { dump2000 } from "./dump_2000.ts";
import { firstPing } from "./first_ping.ts";
import { labs } from "./lab.ts";
import { labStars } from "./lab_star.ts";
import { labChecks } from "./lab_check.ts";
import { packets } from "./packet.ts";
import { routes } from "./routes.ts";
import { veth1000 } from "./veth_1000.ts";

const BENCHMARKS: Readonly<Record<string, (options: BenchOptions) => Promise<Row[]>>> = {
  first_ping: firstPing,
  veth_1000: veth1000,
  dump_2000: dump2000,
  routes,
  batch: batches,
  lab: labs,
  lab_star: labStars,
  lab_check: labChecks,
  packet: packets,
  capture: captures,
  command,
};

const USAGE = `deno task bench [OPTION...]

  --only NAME  one of ${Object.keys(BENCHMARKS).join(", ")}; may be repeated
  --quick      few rounds and small jobs: to see that everything works
  --runs N     cold runs in the distribution of first_ping; default 200, with --quick 5
  --json       prints JSON instead of tables`;

function fail(message: string): never {
  console.error(`${message}\n\n${USAGE}`);
  Deno.exit(2);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      options: {
        only: { type: "string", multiple: true },
        quick: { type: "boolean", default: false },
        runs: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    fail((error as Error).message);
  }
}

/** What the figures depend on. */
function machine() {
  const model = /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
  return {
    date: new Date().toISOString(),
    deno: Deno.version.deno,
    kernel: Deno.osRelease(),
    cpu: `${navigator.hardwareConcurrency} x ${model ?? Deno.build.arch}`,
  };
}

const { only, quick, json, runs = quick ? "5" : "200", help } = readOptions();
if (help) {
  console.log(USAGE);
  Deno.exit(0);
}
for (const name of only ?? []) {
  if (!Object.hasOwn(BENCHMARKS, name)) fail(`There is no benchmark "${name}"`);
}
if (!/^[1-9]\d*$/.test(runs)) fail(`--runs is a number: got "${runs}"`);

const results: Record<string, Row[]> = {};
const { date, deno, kernel, cpu } = machine();
if (!json) console.log(`${date}  Deno ${deno}  Linux ${kernel}  ${cpu}`);
for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
  if (only && !only.includes(name)) continue;
  const terminal = Deno.stderr.isTerminal();
  const progress = (message: string) => {
    const line = `${name}: ${message}`;
    const bytes = new TextEncoder().encode(terminal ? `\r\x1b[K${line}` : `${line}\n`);
    Deno.stderr.writeSync(bytes);
  };
  results[name] = await benchmark({ quick, runs: Number(runs), progress });
  if (terminal) Deno.stderr.writeSync(new TextEncoder().encode("\r\x1b[K"));
  if (!json) console.log(`\n${name}\n${table(results[name])}`);
}
if (json) console.log(JSON.stringify({ ...machine(), results }, null, 2));
