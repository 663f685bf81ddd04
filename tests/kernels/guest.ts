// A virtual machine with the host's files, for one command. QEMU emulates the processor (TCG): there
// may be no KVM, or one that hangs.
import { existsSync } from "node:fs";
import { initramfs } from "./initramfs.ts";
import type { Kernel } from "./kernel.ts";

/** What to run, and for how long. */
export interface GuestOptions {
  readonly kernel: Kernel;
  /** Lines for `sh`, run in the directory the host is in. */
  readonly command: string;
  /** Seconds until a guest is taken for hung. */
  readonly timeout: number;
  /** Called with what the command writes. */
  readonly onOutput?: (text: string) => void;
}

/** How it ended. */
export interface GuestResult {
  /** The command's exit code; `undefined` when the guest ended before the command did. */
  readonly code: number | undefined;
  /** Without an exit code: what happened, with the last lines of the console. */
  readonly failure?: string;
  /** Everything the command wrote to standard output and error. */
  readonly output: string;
}

const GUEST = new URL("guest.sh", import.meta.url).pathname;

/** One processor: two emulated ones cost half as much again for what is one thread's work mostly. */
const MACHINE = "-accel tcg -cpu max -smp 1 -m 3G -nodefaults -no-user-config -display none";

/**
 * `panic`, `oops`: a crash ends the guest, for -no-reboot makes a reset the end. Mitigations cost a
 * third of the time and protect nobody here.
 */
const APPEND = "console=ttyS0 loglevel=4 panic=-1 oops=panic mitigations=off nokaslr";

/** Boots a kernel, runs a command in it, and ends it. */
export async function runInGuest(options: GuestOptions): Promise<GuestResult> {
  const share = Deno.makeTempDirSync({ prefix: "netloom-guest-" });
  try {
    Deno.writeTextFileSync(`${share}/start`, `. '${GUEST}'\n`);
    Deno.writeTextFileSync(`${share}/command`, script(options.command));
    const image = await initramfs(options.kernel, share);
    const { output, timedOut, stderr } = await qemu(options, share, image);
    if (existsSync(`${share}/exit`)) {
      return { code: Number(Deno.readTextFileSync(`${share}/exit`)), output };
    }
    const what = timedOut ? `hung for ${options.timeout} s` : "ended before its command did";
    const failure = `The guest ${what}. Its last lines:\n${stderr}${lastLines(share)}`;
    return { code: undefined, failure, output };
  } finally {
    Deno.removeSync(share, { recursive: true });
  }
}

/** A script in which the command finds what it finds on the host. */
function script(command: string): string {
  const names = ["PATH", "HOME", "DENO_DIR", "LANG", "NO_COLOR"];
  const variables = names.map((name) => [name, Deno.env.get(name)] as const)
    .filter(([, value]) => value !== undefined);
  const exports = variables.map(([name, value]) => `export ${name}=${quote(value!)}\n`);
  return `${exports.join("")}cd ${quote(Deno.cwd())}\n${command}\n`;
}

/** A word for `sh`. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function lastLines(share: string): string {
  const path = `${share}/console`;
  return existsSync(path)
    ? Deno.readTextFileSync(path).trim().split("\n").slice(-40).join("\n")
    : "";
}

async function qemu({ kernel, timeout, onOutput }: GuestOptions, share: string, image: string) {
  const files = (id: string, path: string, more: string) => [
    ...["-fsdev", `local,id=${id},path=${path},security_model=none,multidevs=remap${more}`],
    ...["-device", `virtio-9p-pci,fsdev=${id},mount_tag=${id}`],
  ];
  const child = new Deno.Command("qemu-system-x86_64", {
    args: [
      ...MACHINE.split(" "),
      "-no-reboot",
      ...["-kernel", `${kernel.root}/boot/vmlinuz-${kernel.release}`],
      ...["-initrd", image, "-append", APPEND],
      ...files("host", "/", ",readonly=on"),
      ...files("guest", share, ""),
      ...["-serial", `file:${share}/console`],
      ...["-chardev", "file,id=output,path=/dev/stdout", "-device", "virtio-serial-pci"],
      ...["-device", "virtserialport,chardev=output,nr=1"],
      // A network card that leads nowhere.
      ...["-netdev", "hubport,id=spare,hubid=0"],
      ...["-device", "virtio-net-pci,netdev=spare,romfile="],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const onSignal = () => child.kill("SIGKILL");
  Deno.addSignalListener("SIGINT", onSignal);
  Deno.addSignalListener("SIGTERM", onSignal);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, timeout * 1000);
  const stderr = new Response(child.stderr).text();
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    onOutput?.(text);
  }
  await child.status;
  clearTimeout(timer);
  Deno.removeSignalListener("SIGINT", onSignal);
  Deno.removeSignalListener("SIGTERM", onSignal);
  return { output, timedOut, stderr: await stderr };
}
