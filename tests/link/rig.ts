// A parent link in a namespace of its own, with a switch at the other end of its cable.
import { assertEquals } from "@std/assert";
import { Bridge, type BridgePort, NetNs, Scope, Veth } from "../../mod.ts";

/** Addresses: of the switch, of the parent, and those for hosts on the parent. */
export const SWITCH = "10.9.0.254";
export const PARENT = "10.9.0.200";
export const HOSTS = ["10.9.0.1", "10.9.0.2"] as const;

/**
 * ```
 * outside: br0 (10.9.0.254) - sw0 ---- hub: eth0 (10.9.0.200) - what a test puts on it, in hosts
 * ```
 */
export class Rig implements AsyncDisposable {
  readonly scope: Scope = Scope.open();
  readonly outside: NetNs = this.netns();
  readonly hub: NetNs = this.netns();
  readonly hosts: readonly [NetNs, NetNs] = [this.netns(), this.netns()];
  readonly bridge: Bridge;
  /** The link to put things on. */
  readonly parent: Veth;
  /** The switch's end of its cable. */
  readonly port: BridgePort;

  constructor() {
    const { scope, hub, outside: netns } = this;
    this.bridge = Bridge.create({
      scope,
      name: "br0",
      netns,
      up: true,
      addresses: [`${SWITCH}/24`],
    });
    this.parent = Veth.create({
      scope,
      name: "eth0",
      netns: hub,
      up: true,
      addresses: [`${PARENT}/24`],
      peer: { name: "sw0", netns, master: this.bridge, up: true },
    });
    this.port = this.bridge.port("sw0");
  }

  /** A namespace of the scope in which nobody speaks unasked. */
  netns(): NetNs {
    return silent(NetNs.create(undefined, { scope: this.scope }));
  }

  /** A host at the switch. */
  neighbor(address: string): { netns: NetNs; link: Veth } {
    const netns = this.netns();
    const { scope, bridge } = this;
    const link = Veth.create({
      scope,
      name: "eth0",
      netns,
      up: true,
      addresses: [`${address}/24`],
      peer: { name: `sw${netns.inode % 1e9}`, master: bridge, up: true },
    });
    return { netns, link };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scope[Symbol.asyncDispose]();
  }
}

/** Makes a namespace one without IPv6, so that nobody speaks unasked. */
export function silent(netns: NetNs): NetNs {
  for (const which of ["all", "default"]) {
    netns.sysctl(`net.ipv6.conf.${which}.disable_ipv6`, 1);
  }
  return netns;
}

/** An answer must come. */
export async function assertReaches(from: NetNs, to: string): Promise<void> {
  const { received } = await from.ping(to, { count: 5, interval: 0, timeout: 4000 });
  assertEquals(received > 0, true, `No answer from ${to}`);
}

/** No answer must come. What would bring one is tested beside it, so the time is not what counts. */
export async function assertNoAnswer(from: NetNs, to: string): Promise<void> {
  const { received } = await from.ping(to, { timeout: 300 });
  assertEquals(received, 0, `An answer from ${to}`);
}
