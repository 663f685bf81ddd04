// The commands that the kernel matrix cannot do without.
import { existsSync } from "node:fs";

/** Commands, and the Debian packages that bring them. */
const PACKAGES = {
  "qemu-system-x86_64": "qemu-system-x86",
  busybox: "busybox-static",
  modprobe: "kmod",
  depmod: "kmod",
  cpio: "cpio",
  dpkg: "dpkg",
};

/** Says which packages are missing and how to install them; `undefined` when none is. */
export function missingPackages(): string | undefined {
  // Ordinary users of Debian have no sbin in PATH.
  const path = `${Deno.env.get("PATH")}:/usr/sbin:/sbin`;
  Deno.env.set("PATH", path);
  const missing = Object.entries(PACKAGES).filter(([command]) =>
    !path.split(":").some((directory) => existsSync(`${directory}/${command}`))
  );
  if (missing.length === 0) return undefined;
  const names = [...new Set(missing.map(([, name]) => name))].join(" ");
  return `The kernel matrix needs ${missing.map(([command]) => command).join(", ")}. ` +
    `To install: apt-get install -y --no-install-recommends ${names}`;
}

/**
 * Runs a command to its end.
 *
 * @returns Its standard output
 * @throws When it fails; with the last line it wrote to standard error
 */
export async function output(command: string, args: string[], cwd?: string): Promise<string> {
  const decoder = new TextDecoder();
  const options = { args, ...(cwd === undefined ? {} : { cwd }) };
  const { success, stdout, stderr } = await new Deno.Command(command, options).output();
  if (success) return decoder.decode(stdout);
  const said = decoder.decode(stderr).trim().split("\n").at(-1);
  throw new Error(`${command} ${args.at(-1)} failed: ${said}`);
}
