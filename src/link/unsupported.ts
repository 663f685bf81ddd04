/**
 * What a kernel without a link kind needs.
 *
 * @module
 */
import { NetlinkError } from "../netlink/error.ts";

/** By kind: the kernel's build option, and the module where its name is not the kind's. */
const SOURCES: Readonly<Record<string, readonly [config: string, module?: string]>> = {
  amt: ["AMT"],
  bareudp: ["BAREUDP"],
  batadv: ["BATMAN_ADV", "batman-adv"],
  bond: ["BONDING", "bonding"],
  bridge: ["BRIDGE"],
  dummy: ["DUMMY"],
  erspan: ["NET_IPGRE", "ip_gre"],
  geneve: ["GENEVE"],
  gre: ["NET_IPGRE", "ip_gre"],
  gretap: ["NET_IPGRE", "ip_gre"],
  gtp: ["GTP"],
  hsr: ["HSR"],
  ifb: ["IFB"],
  ip6erspan: ["IPV6_GRE", "ip6_gre"],
  ip6gre: ["IPV6_GRE", "ip6_gre"],
  ip6gretap: ["IPV6_GRE", "ip6_gre"],
  ip6tnl: ["IPV6_TUNNEL", "ip6_tunnel"],
  ipip: ["NET_IPIP"],
  ipvlan: ["IPVLAN"],
  ipvtap: ["IPVTAP"],
  macsec: ["MACSEC"],
  macvlan: ["MACVLAN"],
  macvtap: ["MACVTAP"],
  netdevsim: ["NETDEVSIM"],
  netkit: ["NETKIT"],
  nlmon: ["NLMON"],
  ovpn: ["OVPN"],
  sit: ["IPV6_SIT"],
  team: ["NET_TEAM"],
  vcan: ["CAN_VCAN"],
  tun: ["TUN"],
  veth: ["VETH"],
  vlan: ["VLAN_8021Q", "8021q"],
  vrf: ["NET_VRF"],
  vti: ["NET_IPVTI", "ip_vti"],
  vti6: ["IPV6_VTI", "ip6_vti"],
  vxcan: ["CAN_VXCAN"],
  vxlan: ["VXLAN"],
  wireguard: ["WIREGUARD"],
  xfrm: ["XFRM_INTERFACE", "xfrm_interface"],
};

/**
 * The running kernel does not have a link kind. A `NetlinkError` with the code EOPNOTSUPP that says
 * what brings the kind.
 *
 * @example Going without
 * ```ts
 * import { Ipvlan, NetNs, UnsupportedError, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const parent = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
 * try {
 *   Ipvlan.create({ name: "ipvl0", netns, parent, mode: "l2" });
 * } catch (error) {
 *   if (!(error instanceof UnsupportedError)) throw error;
 *   assertEquals([error.kind, error.config], ["ipvlan", "CONFIG_IPVLAN"]);
 * }
 * ```
 */
export class UnsupportedError extends NetlinkError {
  /** The class: `UnsupportedError`. */
  override readonly name: string = "UnsupportedError";
  /** The kind: `ipvlan`. */
  readonly kind: string;
  /** The kernel's build option that brings it, `CONFIG_IPVLAN`; absent for kinds unknown to netloom. */
  readonly config: string | undefined;
  /** The module that brings it where it is not built in, `ipvlan`; absent like `config`. */
  readonly module: string | undefined;

  private constructor(kind: string, error: NetlinkError) {
    const [config, module = kind] = SOURCES[kind] ?? [];
    const brings = config === undefined
      ? `a module with the alias rtnl-link-${kind} would bring it`
      : `CONFIG_${config}, module ${module}, brings it`;
    const { operation, netns, errno, ack } = error;
    const hint = `the running kernel lacks this kind of link: ${brings}`;
    super({ operation, netns, errno, ack, hint });
    this.kind = kind;
    this.config = config === undefined ? undefined : `CONFIG_${config}`;
    this.module = config === undefined ? undefined : module;
  }

  /** For refused creations: the error, when it is the kind that the kernel does not know. */
  static of(kind: string, error: Error): UnsupportedError | undefined {
    if (!(error instanceof NetlinkError) || error.code !== "EOPNOTSUPP") return undefined;
    return error.ack.message === "Unknown device type"
      ? new UnsupportedError(kind, error)
      : undefined;
  }
}
