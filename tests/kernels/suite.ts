// Runs on the kernel under test: prints facts about it, runs the test suite, and then the tests of this
// directory, which tests/run.ts leaves out.
//
//     deno run -A tests/kernels/suite.ts [--together] [FLAG OF deno test | PATH]...
//
// With paths or a filter, those alone. With --together, as tests/run.ts has it. The exit code is 0 when
// all tests pass.
import { capabilities } from "@netloom/netloom";
import { supports } from "@netloom/netloom/link";
import "@netloom/netloom/tc";
import { FACTS, type Facts } from "./results.ts";

const TOGETHER = "--together";
const flags = Deno.args.filter((arg) => arg.startsWith("-") && arg !== TOGETHER);
const paths = Deno.args.filter((arg) => !arg.startsWith("-"));
const some = paths.length > 0 || flags.some((flag) => flag.startsWith("--filter"));
const together = Deno.args.includes(TOGETHER) && !some ? [TOGETHER] : [];

const { kernel, links, qdiscs, filters, actions } = capabilities();
const facts: Facts = {
  release: kernel,
  kinds: { ...links, tun: supports("tun"), ...qdiscs, ...filters, ...actions },
};
console.log(`${FACTS}${JSON.stringify(facts)}`);

const runs = paths.length > 0 ? [["test", "-A", ...flags, ...paths]] : [
  ["run", "-A", "tests/run.ts", ...together, ...flags],
  ["test", "-A", ...flags, "tests/kernels"],
];
let passed = true;
for (const args of runs) {
  const options = { args, stdin: "null", env: { NO_COLOR: "1" } } as const;
  const { success } = await new Deno.Command(Deno.execPath(), options).spawn().status;
  passed &&= success;
}
Deno.exit(passed ? 0 : 1);
