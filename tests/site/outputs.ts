// `deno task docs:outputs [NAME]...`: runs the examples, each in namespaces of its own, and writes
// what they print to docs/outputs/NAME.txt, for the pages of the documentation to show. Those that
// need what this kernel lacks run on Debian's 6.12 in a virtual machine.
import { parseArgs } from "@std/cli";
import { exampleFiles } from "../files.ts";
import { missingPackages } from "../kernels/command.ts";
import { runInGuest } from "../kernels/guest.ts";
import { kernel } from "../kernels/kernel.ts";
import { ROOT } from "../script.ts";

const GUEST_KERNEL = "6.12";
/** Exit code of an example for whose links the kernel has no driver. */
const LACKING = 77;

/** The names of the scripts in examples/ that people run. */
export function examples(): string[] {
  return exampleFiles().map((name) => name.replace(".ts", ""));
}

/** Lines for `sh`: an example, on a machine that has only `lo`. */
function inNamespaces(name: string): string {
  const setup = "mount -t tmpfs none /run; ip link set lo up";
  return `unshare -mn sh -c '${setup}; exec "$0" run -A examples/${name}.ts' ${Deno.execPath()}`;
}

function write(name: string, release: string, output: string): void {
  const text = `$ deno run -A examples/${name}.ts\n${output.trim()}\n`;
  const on = `\n# Linux ${release}, Deno ${Deno.version.deno}\n`;
  Deno.writeTextFileSync(`${ROOT}docs/outputs/${name}.txt`, text + on);
  console.log(`${name}: Linux ${release}`);
}

/** Runs an example here. `false` when the kernel lacks what it needs. */
function capture(name: string): boolean {
  const { code, stdout, stderr } = new Deno.Command("sh", {
    args: ["-c", inNamespaces(name)],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).outputSync();
  if (code === LACKING) return false;
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`${name} ends with code ${code}: ${decoder.decode(stderr)}`);
  write(name, Deno.osRelease(), decoder.decode(stdout));
  return true;
}

/** Runs examples in a guest, which boots once for all of them. */
async function captureInGuest(names: string[]): Promise<void> {
  const missing = missingPackages();
  if (missing) throw new Error(missing);
  console.log(`${names.join(", ")}: on Linux ${GUEST_KERNEL}, in a virtual machine`);
  const debian = await kernel(GUEST_KERNEL);
  const lines = names.map((name) => `echo "@ ${name}"; ${inNamespaces(name)} 2>&1; echo "@ = $?"`);
  const { failure, output } = await runInGuest({
    kernel: debian,
    command: lines.join("\n"),
    env: { NO_COLOR: "1" },
    timeout: 120 * names.length,
    signal: new AbortController().signal, // Ctrl-C reaches QEMU by itself
  });
  if (failure) throw new Error(failure);
  for (const name of names) {
    const [, text, code] = new RegExp(`@ ${name}\r?\n([^]*?)@ = (\\d+)`).exec(output) ?? [];
    if (code !== "0") throw new Error(`${name} ends with code ${code}: ${text}`);
    write(name, debian.release, text!.replaceAll("\r", ""));
  }
}

if (import.meta.main) {
  const { _: names } = parseArgs(Deno.args);
  const chosen = names.length > 0 ? names.map(String) : examples();
  Deno.mkdirSync(`${ROOT}docs/outputs`, { recursive: true });
  const lacking = chosen.filter((name) => !capture(name));
  if (lacking.length > 0) await captureInGuest(lacking);
}
