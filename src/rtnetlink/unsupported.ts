/**
 * The error for what the running kernel lacks, with the build option, the module or the version that has it.
 *
 * @module
 */
import { type ExtendedAck, NetlinkError } from "../netlink/error.ts";
import { nearest, show } from "../options.ts";
import { linkKind, linkKindNames } from "./link_info.ts";
import type { OptionRequirement } from "./link_kinds/kind.ts";

/** A part that the running kernel lacks. */
export interface Lacking {
  /** The kind that is missing, or has the option: `ipvlan`, `netem`. */
  readonly kind: string;
  /** The option that is missing; absent when the whole kind is. */
  readonly option?: string;
  /** The kernel's build option that brings it, without `CONFIG_`. */
  readonly config?: string;
  /** The module that brings it. */
  readonly module?: string;
  /** The first version of Linux with it. */
  readonly linux?: string;
  /** The same for people. */
  readonly hint: string;
}

/** The operation that needs it: the kernel's refusal, where there was one. */
export interface Refused {
  /** The operation. */
  readonly operation: string;
  /** The namespace. */
  readonly netns: string;
  /** The error number. */
  readonly errno: number;
  /** What the kernel added. */
  readonly ack?: ExtendedAck;
}

/** Kinds without an entry in the table: the kernel's build option, and the module where its name differs. */
const SOURCES: Readonly<Record<string, readonly [config: string, module?: string]>> = {
  amt: ["AMT"],
  bareudp: ["BAREUDP"],
  batadv: ["BATMAN_ADV", "batman-adv"],
  bond: ["BONDING", "bonding"],
  erspan: ["NET_IPGRE", "ip_gre"],
  geneve: ["GENEVE"],
  gre: ["NET_IPGRE", "ip_gre"],
  gretap: ["NET_IPGRE", "ip_gre"],
  gtp: ["GTP"],
  hsr: ["HSR"],
  ip6erspan: ["IPV6_GRE", "ip6_gre"],
  ip6gre: ["IPV6_GRE", "ip6_gre"],
  ip6gretap: ["IPV6_GRE", "ip6_gre"],
  ip6tnl: ["IPV6_TUNNEL", "ip6_tunnel"],
  ipip: ["NET_IPIP"],
  macsec: ["MACSEC"],
  netdevsim: ["NETDEVSIM"],
  netkit: ["NETKIT"],
  nlmon: ["NLMON"],
  ovpn: ["OVPN"],
  sit: ["IPV6_SIT"],
  team: ["NET_TEAM"],
  vcan: ["CAN_VCAN"],
  vrf: ["NET_VRF"],
  vti: ["NET_IPVTI", "ip_vti"],
  vti6: ["IPV6_VTI", "ip6_vti"],
  vxcan: ["CAN_VXCAN"],
  wireguard: ["WIREGUARD"],
  xfrm: ["XFRM_INTERFACE", "xfrm_interface"],
};

/**
 * The running kernel does not have a kind, or an option of one: a link kind, a queueing discipline, a filter,
 * an action, or what an impairment needs. It names the build option, module or version with it. Its code is
 * the kernel's: ENOENT for queueing disciplines, filters and actions, otherwise EOPNOTSUPP.
 *
 * @example Handling a kind that the kernel lacks
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
  /** The option that the kernel lacks; absent when it lacks the whole kind. */
  readonly option: string | undefined;
  /** The kernel's build option that brings it, `CONFIG_IPVLAN`; absent where none is known. */
  readonly config: string | undefined;
  /** The module that brings the kind where it is not built in, `ipvlan`; absent like `config`. */
  readonly module: string | undefined;
  /** The first Linux version that has the option, `6.7`; absent where any has it. */
  readonly linux: string | undefined;

  /**
   * Composes the message.
   *
   * @param lacking The missing part, and what brings it.
   * @param refused The operation, its place, and the kernel's refusal where there was one.
   */
  constructor(lacking: Lacking, refused: Refused) {
    const { operation, netns, errno, ack = {} } = refused;
    super({ operation, netns, errno, ack, hint: lacking.hint });
    this.kind = lacking.kind;
    this.option = lacking.option;
    this.config = lacking.config === undefined ? undefined : `CONFIG_${lacking.config}`;
    this.module = lacking.module;
    this.linux = lacking.linux;
  }
}

/** Whether the kernel refused a kind of link as unknown. */
export function isUnknownKind(error: Error): boolean {
  return error instanceof NetlinkError && error.code === "EOPNOTSUPP" &&
    error.ack.message === "Unknown device type";
}

/** A kind of link that the running kernel lacks. */
export function lackingKind(kind: string): Lacking {
  const { config, module } = sourceOf(kind);
  const near = nearestKind(kind);
  const meant = near === undefined ? "" : `; did you mean ${show(near)}?`;
  const brings = config === undefined
    ? `a module with the alias rtnl-link-${kind} would bring it${meant}`
    : `CONFIG_${config}, module ${module}, brings it`;
  return {
    kind,
    ...(config === undefined ? {} : { config }),
    ...(module === undefined ? {} : { module }),
    hint: `the running kernel lacks this kind of link: ${brings}`,
  };
}

/** An option of a kind of link that the running kernel lacks. */
export function lackingOption(
  kind: string,
  option: string,
  requirement: OptionRequirement,
): Lacking {
  const { config, linux } = requirement;
  const brings = [
    ...(config === undefined ? [] : [`CONFIG_${config}`]),
    ...(linux === undefined ? [] : [`Linux ${linux} or later`]),
  ];
  return {
    kind,
    option,
    ...(config === undefined ? {} : { config }),
    ...(linux === undefined ? {} : { linux }),
    hint: `the running kernel lacks the option ${option} of a ${kind}: ${
      brings.join(" and ")
    } has it`,
  };
}

/** The known kind of link that is near enough to an unknown one. */
export function nearestKind(kind: string): string | undefined {
  const known = [...linkKindNames(), ...Object.keys(SOURCES)];
  return known.includes(kind) ? undefined : nearest(kind, known);
}

function sourceOf(kind: string): { readonly config?: string; readonly module?: string } {
  const entry = linkKind(kind);
  if (entry) return { config: entry.config, module: entry.module ?? kind };
  const [config, module = kind] = SOURCES[kind] ?? [];
  return config === undefined ? {} : { config, module };
}
