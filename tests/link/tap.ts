// The character device of a macvtap or ipvtap.
import { C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { type Fd, open, read, write } from "../../ffi/file.ts";
import type { Link, NetNs } from "../../mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { withoutKind } from "./oracle.ts";
import { Watcher } from "./wire.ts";

/** Bytes of `struct virtio_net_hdr`, which the device puts in front of a frame. */
const VNET_HDR = 10;

/** The character device of a macvtap or ipvtap. */
export class Tap extends Watcher {
  readonly #directory = Deno.makeTempDirSync({ prefix: "netloom-tap-" });
  readonly #buffer = new Uint8Array(4096);
  protected readonly fd: Fd;

  constructor(netns: NetNs, link: Link) {
    super();
    const { name, index, kind } = link;
    const path = `/sys/class/net/${name}/${kind}/tap${index}/dev`;
    const { stdout } = netns.command("cat", { args: [path] }).outputSync();
    const [major, minor] = new TextDecoder().decode(stdout).trim().split(":");
    // /dev/tapN may be another namespace's, or missing.
    run(netns.ref, `mknod ${this.#directory}/tap c ${major} ${minor}`);
    this.fd = open(`${this.#directory}/tap`, C.O_RDWR | C.O_NONBLOCK, "open a tap");
  }

  protected next(): Uint8Array | undefined {
    try {
      return this.#buffer.subarray(VNET_HDR, read(this.fd, this.#buffer, "read the tap"));
    } catch (error) {
      if (error instanceof SyscallError && error.errno === ERRNO.EAGAIN) return undefined;
      throw error;
    }
  }

  /** Sends a frame through the device. */
  send(bytes: Uint8Array<ArrayBuffer>): void {
    const whole = new Uint8Array(VNET_HDR + bytes.length);
    whole.set(bytes, VNET_HDR);
    write(this.fd, whole, "write to the tap");
  }

  [Symbol.dispose](): void {
    this.fd.close();
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** Device files cannot be made and opened in a user namespace. */
const hasDevices = /^\s*0\s+0\s+4294967295$/m.test(Deno.readTextFileSync("/proc/self/uid_map"));

/** A test that needs a kind of link, and the device of a tap. */
export function deviceTest(
  kind: string,
  name: string,
  fn: () => Promise<void>,
  tap = "macvtap",
): void {
  const lacks = hasDevices
    ? withoutKind(tap) ?? withoutKind(kind)
    : "no device files in a user namespace";
  test(name, { lacks }, fn);
}
