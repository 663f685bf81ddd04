/**
 * Kinds and options of links that the running kernel lacks.
 *
 * @module
 */
import { type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { getLinkMessage, type LinkMessage, newLink, setLink } from "../rtnetlink/link.ts";
import type { LinkInfoNest } from "../rtnetlink/link_info.ts";
import type { KindOptions, LinkKind, OptionRequirement } from "../rtnetlink/link_kinds/kind.ts";
import { linkKind } from "../rtnetlink/link_kinds/mod.ts";
import { verify } from "./verify.ts";

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
 * The running kernel does not have a link kind, or an option of one. A `NetlinkError` with the code
 * EOPNOTSUPP that says what brings the kind or the option.
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
  /** The option that the kernel lacks; absent when it lacks the whole kind. */
  readonly option: string | undefined;
  /** The kernel's build option that brings it, `CONFIG_IPVLAN`; absent where none is known. */
  readonly config: string | undefined;
  /** The module that brings the kind where it is not built in, `ipvlan`; absent like `config`. */
  readonly module: string | undefined;
  /** The first Linux version that has the option, `6.7`; absent where any has it. */
  readonly linux: string | undefined;

  /** For creations: what is lacking, and the kernel's refusal. */
  constructor(
    lacking: { kind: string; option?: string; requirement?: OptionRequirement },
    error: NetlinkError,
  ) {
    const { kind, option, requirement } = lacking;
    const source: Brings = option === undefined ? sourceOf(kind) : requirement ?? {};
    const { operation, netns, errno, ack } = error;
    super({ operation, netns, errno, ack, hint: hintFor(kind, option, source) });
    this.kind = kind;
    this.option = option;
    this.config = source.config === undefined ? undefined : `CONFIG_${source.config}`;
    this.module = source.module;
    this.linux = source.linux;
  }
}

interface Brings {
  readonly config?: string;
  readonly module?: string;
  readonly linux?: string;
}

function sourceOf(kind: string): Brings {
  const entry = linkKind(kind);
  if (entry) return { config: entry.config, module: entry.module ?? kind };
  const [config, module = kind] = SOURCES[kind] ?? [];
  return config === undefined ? {} : { config, module };
}

function hintFor(
  kind: string,
  option: string | undefined,
  { config, module, linux }: Brings,
): string {
  if (option === undefined) {
    const brings = config === undefined
      ? `a module with the alias rtnl-link-${kind} would bring it`
      : `CONFIG_${config}, module ${module}, brings it`;
    return `the running kernel lacks this kind of link: ${brings}`;
  }
  const brings = [
    ...(config === undefined ? [] : [`CONFIG_${config}`]),
    ...(linux === undefined ? [] : [`Linux ${linux} or later`]),
  ];
  return `the running kernel lacks the option ${option} of a ${kind}: ${
    brings.join(" and ")
  } has it`;
}

/** Whether the kernel said that it does not know a kind. */
export function isUnknownKind(error: Error): boolean {
  return error instanceof NetlinkError && error.code === "EOPNOTSUPP" &&
    error.ack.message === "Unknown device type";
}

/**
 * The error to throw for a refused creation or change: an {@link UnsupportedError} when the kernel lacks
 * the kind or one of the options, otherwise the refusal itself.
 */
export function explainRefusal(kind: string, info: LinkInfoNest | undefined, error: Error): Error {
  if (!(error instanceof NetlinkError)) return error;
  if (isUnknownKind(error)) return new UnsupportedError({ kind }, error);
  if (!["EOPNOTSUPP", "EINVAL", "ERANGE"].includes(error.code)) return error;
  for (
    const [name, options, asked] of [
      [kind, linkKind(kind), info?.data],
      [info?.portKind, linkKind(info?.portKind)?.port, info?.portData],
    ] as const
  ) {
    if (name === undefined || !options?.requires || !asked || asked instanceof Uint8Array) continue;
    const port = options !== linkKind(name);
    const names = Object.keys(options.decode ? options.decode(asked) : asked);
    for (const option of names) {
      const requirement = options.requires[option];
      if (!requirement || hasOption(name, option, port)) continue;
      return new UnsupportedError(
        { kind: port ? `port of a ${name}` : name, option, requirement },
        error,
      );
    }
  }
  return error;
}

const known = new Map<string, boolean>();

/** Whether the running kernel has an option of a kind, or of a port of it; tried in a throw-away namespace. */
export function hasOption(kindName: string, option: string, port = false): boolean {
  const key = `${kindName}${port ? ".port" : ""}.${option}`;
  let has = known.get(key);
  if (has === undefined) known.set(key, has = tryOption(linkKind(kindName)!, option, port));
  return has;
}

function tryOption(kind: LinkKind, option: string, port: boolean): boolean {
  const options: KindOptions<object, object, object> = port ? kind.port! : kind;
  const requirement = options.requires?.[option];
  if (!requirement) return true;
  using netns = newNetNs("netns for trying an option");
  const { probe } = requirement;
  const asked = typeof probe === "object" && probe !== null && !Array.isArray(probe)
    ? probe
    : { [option]: probe };
  const data = options.encode ? options.encode(asked) : asked;
  try {
    tryData(netns, kind.kind, data, kind.parent !== undefined, port);
    return true;
  } catch (error) {
    if (error instanceof NetlinkError) return false;
    throw error;
  }
}

/** Creates a link with the options, or a port of one, and verifies that the kernel took them. */
function tryData(
  netns: NetNsRef,
  kind: string,
  data: object,
  parent: boolean,
  port: boolean,
): void {
  const connection = connectionTo(netns);
  const below = { name: "below", linkInfo: { kind: "veth", data: { peer: { name: "other" } } } };
  const send = (message: LinkMessage) => {
    connection.request(newLink(message));
    return connection.request(getLinkMessage(message.name!));
  };
  const lower = parent || port ? send(below).index! : undefined;
  if (!port) {
    const linkInfo = { kind, data };
    const got = send({ name: "probe", ...(lower !== undefined && { parent: lower }), linkInfo });
    return verify({ linkInfo }, got, "probe", netns);
  }
  const master = send({ name: "probe", linkInfo: { kind } }).index!;
  const linkInfo = { portKind: kind, portData: data };
  connection.request(setLink({ index: lower!, master }));
  connection.request(setLink({ index: lower!, linkInfo }));
  verify({ linkInfo }, connection.request(getLinkMessage(lower!)), "probe", netns);
}
