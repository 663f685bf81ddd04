// Namespaces that are all alike, so that the effects of two ways to do a thing can be compared.
import { type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import type { Connection } from "../../src/netlink/connection.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { run } from "../helpers.ts";

/** Indexes of the links in a {@link Testbed}: both ends of a veth. */
export const V0 = 10;
export const V1 = 11;

/** Index of the bridge that {@link BRIDGE} makes. */
export const BR0 = 12;

/**
 * Makes a bridge that `v1` is a port of. It has no default VLAN: where the kernel filters VLANs, each
 * forwarding entry would be there once more for that.
 */
export const BRIDGE = [
  "ip link add br0 index 12 address 02:00:00:00:00:12 type bridge vlan_default_pvid 0",
  "ip link set v1 master br0",
  "ip link set br0 addrgenmode none",
  "ip link set br0 up",
];

/** A namespace with a veth whose both ends are up, `v0` and `v1`, and nothing that the kernel adds later. */
export class Testbed implements Disposable {
  readonly netns: NetNsRef = newNetNs("test netns");
  readonly connection: Connection = connectionTo(this.netns);

  /** @param setup Command lines to run in it. */
  constructor(...setup: string[]) {
    const lines = [
      "ip link set lo up",
      "ip link add v0 index 10 address 02:00:00:00:00:10 type veth" +
      " peer name v1 index 11 address 02:00:00:00:00:11",
      // No address of its own, whose detection would go on in the background. In one line with `up`
      // it comes too late on Linux 6.1.
      "ip link set v0 addrgenmode none",
      "ip link set v1 addrgenmode none",
      "ip link set v0 up",
      "ip link set v1 up",
      ...setup,
    ];
    try {
      for (const line of lines) run(this.netns, line);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.netns.close();
  }
}

/** What keeps `ip` or the kernel from doing all of this; `undefined` when they can. */
export function lacking(...lines: string[]): string | undefined {
  try {
    using _testbed = new Testbed(...lines);
    return undefined;
  } catch (error) {
    const [line] = (error as Error).message.split(": ");
    const kind = / type (\w+).*Unknown device type/s.exec((error as Error).message)?.[1];
    return kind ? `this kernel has no ${kind}` : `this machine cannot "${line}"`;
  }
}
