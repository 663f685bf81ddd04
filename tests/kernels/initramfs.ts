// The initramfs of a guest: busybox, the modules for reaching the files of the host, and init.sh.
import { output } from "./command.ts";
import type { Kernel } from "./kernel.ts";

/** Modules; their dependencies are added. */
const MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

const INIT = new URL("init.sh", import.meta.url).pathname;

/**
 * Writes the initramfs of a kernel.
 *
 * @param kernel The kernel whose modules are in it
 * @param directory Where to write it
 * @returns Its path
 */
export async function initramfs(kernel: Kernel, directory: string): Promise<string> {
  const root = `${directory}/initramfs`;
  Deno.mkdirSync(`${root}/modules`, { recursive: true });
  Deno.copyFileSync(INIT, `${root}/init`);
  Deno.chmodSync(`${root}/init`, 0o755);
  Deno.copyFileSync((await output("which", ["busybox"])).trim(), `${root}/busybox`);
  const order: string[] = [];
  for (const file of await moduleFiles(kernel)) {
    const name = file.replace(/.*\//, "").replace(".xz", "");
    if (order.includes(name)) continue;
    order.push(name);
    if (!file.endsWith(".xz")) Deno.copyFileSync(file, `${root}/modules/${name}`);
    else await output("sh", ["-c", `busybox xzcat '${file}' > '${root}/modules/${name}'`]);
  }
  Deno.writeTextFileSync(`${root}/modules/order`, order.map((name) => `${name}\n`).join(""));
  Deno.writeTextFileSync(`${root}/settings`, `MODULES='${kernel.root}/lib/modules'\n`);
  await output("sh", ["-c", "find . | cpio --quiet -o -H newc > ../initramfs.cpio"], root);
  return `${directory}/initramfs.cpio`;
}

/** The files of {@link MODULES}, each after its dependencies; without built-in ones. */
async function moduleFiles({ root, release }: Kernel): Promise<string[]> {
  const lines = await Promise.all(
    MODULES.map((name) => output("modprobe", ["-d", root, "-S", release, "--show-depends", name])),
  );
  return lines.join("").split("\n").filter((line) => line.startsWith("insmod "))
    .map((line) => line.replace(/^insmod (\S+).*/, "$1"));
}
