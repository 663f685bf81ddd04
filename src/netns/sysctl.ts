/**
 * Kernel settings of a namespace (`net.*` in sysctl(8)).
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { open, read, write } from "../../ffi/file.ts";
import { type NetNsRef, within } from "../../ffi/namespace.ts";
import { show } from "../options.ts";

/** Reads a setting, after writing it when a value is given. */
export function sysctl(netns: NetNsRef, name: string, value?: string | number): string {
  if (typeof name !== "string" || !/^net(\.[\w/-]+)+$/.test(name) || name.includes("//")) {
    throw new TypeError(
      `A netns setting begins with "net.", as in "net.ipv4.ip_forward": got ${show(name)}`,
    );
  }
  const swapped: Record<string, string> = { ".": "/", "/": "." };
  const path = `/proc/sys/${name.replace(/[./]/g, (mark) => swapped[mark]!)}`;
  const where = netns.description ? ` in ${netns.description}` : "";
  // Which namespace /proc/sys/net shows is fixed when the file is opened.
  return within(netns, () => {
    if (value !== undefined) {
      const what = `set ${name} to ${show(value)}${where}`;
      using file = open(path, C.O_WRONLY, what);
      // Of an empty text alone nothing would be written.
      write(file, new TextEncoder().encode(`${value}\n`), what);
    }
    const what = `get ${name}${where}`;
    using file = open(path, C.O_RDONLY, what);
    const buffer = new Uint8Array(4096);
    return new TextDecoder().decode(buffer.subarray(0, read(file, buffer, what))).trimEnd();
  });
}
