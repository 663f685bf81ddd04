// A virtual machine with the host's files, for one command. QEMU emulates the processor (TCG): there
// may be no KVM, or one that hangs.
import { existsSync } from "node:fs";
import { initramfs } from "./initramfs.ts";
import type { Kernel } from "./kernel.ts";
import { follow } from "./process.ts";
import { qemuArguments } from "./qemu.ts";

/** A command for a guest, and its limits. */
export interface GuestOptions {
  readonly kernel: Kernel;
  /** Lines for `sh`, run in the directory the host is in. */
  readonly command: string;
  /** Environment variables for it. */
  readonly env?: Readonly<Record<string, string>>;
  /** Seconds until a guest is taken for hung. */
  readonly timeout: number;
  /** Ends the guest. */
  readonly signal: AbortSignal;
  /** Called with the output of the command. */
  readonly onOutput?: (text: string) => void;
}

/** How it ended. */
export interface GuestResult {
  /** The command's exit code; `undefined` when the guest ended before the command did. */
  readonly code: number | undefined;
  /** A failure of the guest itself, with the last lines of its console. */
  readonly failure?: string;
  /** Everything the command wrote to standard output and error. */
  readonly output: string;
}

const GUEST = new URL("guest.sh", import.meta.url).pathname;

/** Words on the console of a kernel in trouble. */
const TROUBLE = /Kernel panic|\bOops\b|\bBUG:/;

/** Boots a kernel, runs a command in it, and ends it. */
export async function runInGuest(options: GuestOptions): Promise<GuestResult> {
  const { kernel, timeout, onOutput } = options;
  const share = Deno.makeTempDirSync({ prefix: "netloom-guest-" });
  try {
    Deno.writeTextFileSync(`${share}/start`, `. '${GUEST}'\n`);
    Deno.writeTextFileSync(`${share}/command`, script(options));
    const args = qemuArguments(kernel, await initramfs(kernel, share), share);
    const late = AbortSignal.timeout(timeout * 1000);
    const signal = AbortSignal.any([options.signal, late]);
    const { output } = await follow("qemu-system-x86_64", { args, signal }, onOutput);
    const code = exitCode(share);
    const lines = consoleOf(share);
    const what = TROUBLE.test(lines.join("\n"))
      ? "The guest crashed"
      : code !== undefined
      ? undefined
      : late.aborted
      ? `The guest hung: it had ${timeout} s`
      : "The guest ended before its command did";
    const tail = lines.slice(-60).join("\n");
    return { code, output, ...(what ? { failure: `${what}. Its last lines:\n${tail}` } : {}) };
  } finally {
    Deno.removeSync(share, { recursive: true });
  }
}

/** A script that gives the command the environment of the host. */
function script({ command, env = {} }: GuestOptions): string {
  const names = ["PATH", "HOME", "DENO_DIR", "LANG", "NO_COLOR"];
  const variables = names.map((name) => [name, Deno.env.get(name)] as const)
    .filter(([, value]) => value !== undefined);
  const exports = [...variables, ...Object.entries(env)]
    .map(([name, value]) => `export ${name}=${quote(value!)}\n`);
  return `${exports.join("")}cd ${quote(Deno.cwd())}\n${command}\n`;
}

/** A word for `sh`. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function exitCode(share: string): number | undefined {
  const path = `${share}/exit`;
  return existsSync(path) ? Number(Deno.readTextFileSync(path)) : undefined;
}

function consoleOf(share: string): string[] {
  const path = `${share}/console`;
  return existsSync(path) ? Deno.readTextFileSync(path).trim().split(/\r?\n/) : [];
}
