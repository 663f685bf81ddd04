/**
 * Kernel settings of a namespace (`net.*` in sysctl(8)).
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { exists, open, read, readDirectory, write } from "../../ffi/file.ts";
import { type NetNsRef, within } from "../../ffi/namespace.ts";
import { nearest, show } from "../options.ts";

const ROOT = "/proc/sys";

/** Sizes of the buffer for a value: the next one when a value fills it. The kernel allows up to 4 MB. */
const SIZES = [4096, 1 << 18, (1 << 22) - 1];

/** Reads a setting, after writing it when a value is given. */
export function sysctl(netns: NetNsRef, name: string, value?: string | number): string {
  const parts = partsOf(name);
  const text = typeof value === "string" && !value.includes("\n");
  if (value !== undefined && !text && !Number.isFinite(value)) {
    throw new TypeError(`A setting is one line of text or a number: got ${show(value)}`);
  }
  const path = `${ROOT}/${parts.join("/")}`;
  // The namespace that /proc/sys/net shows is fixed when the file is opened.
  return within(netns, () => {
    const operation = value === undefined ? `get ${name}` : `set ${name} to ${show(value)}`;
    try {
      if (value !== undefined) writeSetting(path, `${value}`, operation + netns.place);
      return readSetting(path, `get ${name}${netns.place}`);
    } catch (error) {
      if (!(error instanceof SyscallError) || error.errno !== ERRNO.ENOENT) throw error;
      const { syscall, errno } = error;
      throw new SyscallError(operation + netns.place, { syscall, errno, hint: misspelled(parts) });
    }
  });
}

/**
 * The directories and the file of a setting. As in sysctl(8), the first separator decides: after a dot,
 * a slash stands for a dot inside a name; after a slash, a dot is a dot.
 */
function partsOf(name: string): string[] {
  const [, first] = typeof name === "string" ? /^net([./])/.exec(name) ?? [] : [];
  const swapped: Readonly<Record<string, string>> = { ".": "/", "/": "." };
  const path = first === "." ? name.replace(/[./]/g, (mark) => swapped[mark]!) : name;
  const parts = first === undefined ? [] : path.split("/");
  if (parts.length === 0 || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new TypeError(
      `A netns setting begins with "net.", as in "net.ipv4.ip_forward", and has no empty part: ` +
        `got ${show(name)}`,
    );
  }
  return parts;
}

function writeSetting(path: string, value: string, operation: string): void {
  using file = open(path, C.O_WRONLY, operation);
  // The newline: of an empty text nothing would be written.
  write(file, new TextEncoder().encode(`${value}\n`), operation);
}

/** A value comes with the first read: a second one of the same file may give nothing more. */
function readSetting(path: string, operation: string): string {
  for (const size of SIZES) {
    using file = open(path, C.O_RDONLY, operation);
    const buffer = new Uint8Array(size);
    const length = read(file, buffer, operation);
    if (length < size) return new TextDecoder().decode(buffer.subarray(0, length)).trimEnd();
  }
  throw new SyscallError(operation, { syscall: "read", errno: ERRNO.EMSGSIZE });
}

/** Names the part that does not exist, and the nearest one that does. */
function misspelled(parts: readonly string[]): string | undefined {
  for (let known = 1; known < parts.length; known++) {
    const directory = parts.slice(0, known).join("/");
    if (exists(`${ROOT}/${directory}/${parts[known]}`)) continue;
    const near = nearest(parts[known]!, readDirectory(`${ROOT}/${directory}`));
    return `${directory} has no ${show(parts[known])}` +
      (near === undefined ? "" : `; did you mean ${show(near)}?`);
  }
  return undefined;
}
