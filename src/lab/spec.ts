/**
 * A topology as people write it, in TypeScript or in a file: the types of every option.
 *
 * The descriptions of the published JSON Schema and of the reference come from the comments here.
 *
 * @module
 */
import type { Filter } from "../capture/filter.ts";
import type { Rate, Share, Time } from "../rtnetlink/units.ts";
import type { ExistingNetns, OptionValue } from "./resolved.ts";

/** The name of a node; of a range such as `h[1-4]` each name that may be in it. */
export type NodeName<N extends string> = N extends `${infer A}[${string}]${infer B}`
  ? NodeName<`${A}${number}${B}`> | N
  : N;

/** One end of a link: a node, with or without the name of the interface: `h1`, `h1:eth0`. */
export type EndpointName<N extends string = string> = NodeName<N> | `${NodeName<N>}:${string}`;

/** A link as text: `h1 -- sw` or `h1:eth0 -- sw`. The compiler checks the first node, `check` both. */
export type LinkText<N extends string = string> = `${EndpointName<N>} -- ${string}`;

/** A topology. */
export interface TopologySpec<N extends string = string> {
  /** Name of the lab. Default: the name of the file, without `.lab.yml`; none in TypeScript. */
  readonly name?: string;
  /** The pools of addresses. Default: `{ ipv4: 10.0.0.0/8 }`. `none`: no address is derived. */
  readonly addressing?: AddressingSpec | "none";
  /** Whether routes are derived: `static` are shortest paths over the routers. Default: `static`. */
  readonly routing?: "static" | "none";
  /** Uses all next hops of equal cost, not only the first one in name order. Default: false. */
  readonly ecmp?: boolean;
  /** Seed of everything random: the same seed, the same faults. Default: a new one at each start. */
  readonly seed?: number;
  /** Options of all nodes. */
  readonly defaults?: NodeSpec;
  /** Options of all nodes of a kind. They precede `defaults`. */
  readonly kinds?: Readonly<Record<string, NodeSpec>>;
  /** Options of all nodes of a group. They precede those of the kind. */
  readonly groups?: Readonly<Record<string, NodeSpec>>;
  /** The nodes by name; `h[1-4]` stands for `h1` to `h4`. */
  readonly nodes: Readonly<Record<N, NodeSpec | null>>;
  /** The links between nodes. */
  readonly links?: readonly LinkSpec<NoInfer<N>>[];
  /** Faults at fixed times. */
  readonly schedule?: readonly EventSpec<NoInfer<N>>[];
  /** Names of containerlab options that netloom lacks and that are ignored: `[image]`. */
  readonly without?: readonly string[];
}

/** The pools that addresses are taken from, each an IP prefix. */
export interface AddressingSpec {
  /** The pool of IPv4 addresses. Default: no IPv4 addresses. */
  readonly ipv4?: string;
  /** The pool of IPv6 addresses. Default: no IPv6 addresses. */
  readonly ipv6?: string;
}

/** The kind of a node; `linux` is containerlab's word for `host`. */
export type NodeKind = "host" | "router" | "switch" | "nat" | "host-machine" | "linux";

/** A node: a network namespace. */
export interface NodeSpec {
  /** Its kind. A router forwards, a switch is a bridge, a NAT leads outside. Default: `host`. */
  readonly kind?: NodeKind;
  /** The group whose options it takes. */
  readonly group?: string;
  /** Row in drawings, 1 is the top one. */
  readonly tier?: number;
  /** An existing namespace that is this node. */
  readonly netns?: ExistingNetns;
  /** Kind `nat`: the namespace outside. Default: that of the machine. */
  readonly outside?: ExistingNetns;
  /** MTU of its interfaces, in bytes. Default: 1500. */
  readonly mtu?: number;
  /** Kind `switch`: spanning tree. Default: false. */
  readonly stp?: boolean;
  /** Whether `lo` gets an address of its own. Default: true for routers. */
  readonly loopback?: boolean;
  /** Its interfaces by name: settings of those that links use, and further ones. */
  readonly interfaces?: Readonly<Record<string, InterfaceSpec>>;
  /** Routes, beside those that are derived. One with the same destination replaces the derived one. */
  readonly routes?: readonly RouteSpec[];
  /** Policy rules. */
  readonly rules?: readonly RuleSpec[];
  /** Kernel settings by name: `net.ipv4.tcp_ecn: 1`. */
  readonly sysctls?: Readonly<Record<string, string | number>>;
  /** Firewall: a script for `nft -f`. */
  readonly nftables?: string;
  /** Commands that run once, each to its end, before those of `run`. */
  readonly exec?: readonly string[];
  /** Commands that run as long as the lab, each a line for `sh`. */
  readonly run?: readonly (string | RunSpec)[];
  /** Environment of the commands. */
  readonly env?: Readonly<Record<string, string | number | boolean>>;
  /** Files that the commands see, by absolute path: the text, or where it comes from. */
  readonly files?: Readonly<Record<string, string | FileSpec>>;
  /** Further names and their addresses, in `/etc/hosts` of this node. */
  readonly hosts?: Readonly<Record<string, string>>;
}

/** The kind of an interface that no link of the file creates. */
export type InterfaceKind =
  | "bridge"
  | "dummy"
  | "ifb"
  | "vlan"
  | "macvlan"
  | "macvtap"
  | "ipvlan"
  | "ipvtap"
  | "vxlan"
  | "physical";

/** Settings of an interface at one end of a link. */
export interface PortSpec {
  /** Addresses with prefix lengths, `10.0.0.1/24`; `[]` for none. Default: derived from the pools. */
  readonly addresses?: readonly string[];
  /** An IPv4 address with its prefix length; containerlab's form of `addresses`. */
  readonly ipv4?: string;
  /** An IPv6 address with its prefix length; containerlab's form of `addresses`. */
  readonly ipv6?: string;
  /** MAC address. Default: derived from the names of node and interface. */
  readonly mac?: string;
  /** MTU in bytes. Default: that of the link, otherwise of the node. */
  readonly mtu?: number;
  /** Whether it is up. Default: true. */
  readonly up?: boolean;
  /** Duplicate address detection of IPv6. Default: false where the lab owns both ends. */
  readonly dad?: boolean;
  /** Port of a switch: the one VLAN that it is in, without tags. */
  readonly access?: number;
  /** Port of a switch: the VLANs that it carries with tags, as numbers and ranges `"10-20"`. */
  readonly trunk?: readonly (number | string)[];
  /** Port with `trunk`: the VLAN of frames without a tag. Default: none. */
  readonly native?: number;
}

/** An interface of a node. */
export interface InterfaceSpec extends PortSpec {
  /** Its kind. Default: it is the end of a link. */
  readonly kind?: InterfaceKind;
  /** The interface below a vlan, macvlan, ipvlan or vxlan: `eth0`, or `NODE:eth0` of another node. */
  readonly parent?: string;
  /** The bridge of this node that it is a port of. */
  readonly master?: string;
  /** Kind `physical`: the interface of the machine that moves into the node. */
  readonly from?: string;
  /** Options of the kind, with the names of the library: `{ id: 10 }` of a vlan. */
  readonly options?: Readonly<Record<string, OptionValue>>;
}

/** One end of a link with settings. */
export interface EndpointObject<N extends string = string> extends PortSpec {
  /** The node. */
  readonly node: NodeName<N>;
  /** Name of the interface. Default: `to-` and the name of the node at the other end. */
  readonly interface?: string;
}

/** One end of a link. */
export type EndpointSpec<N extends string = string> = EndpointName<N> | EndpointObject<N>;

/** A link between nodes: as text, with options, or a segment of many. */
export type LinkSpec<N extends string = string> =
  | LinkText<N>
  | WireSpec<N>
  | SegmentSpec<N>
  | AttachmentSpec<N>;

/** Options that wires and segments share. */
export interface WireOptions {
  /** MTU of all its ends, in bytes. Default: that of the nodes. */
  readonly mtu?: number;
  /** The subnets of its addresses: `[192.168.7.0/24]`. Default: derived from the pools. */
  readonly subnets?: readonly string[];
  /** Faults from the start. */
  readonly impair?: ImpairSpec | DirectedImpairSpec;
  /** Switch ports at its ends: the one VLAN that they are in, without tags. */
  readonly access?: number;
  /** Switch ports at its ends: the VLANs that they carry with tags. */
  readonly trunk?: readonly (number | string)[];
}

/** A link between two nodes: a veth pair. */
export interface WireSpec<N extends string = string> extends WireOptions {
  /** Its two ends. A range at one end stands for a link each; at both ends, each with each. */
  readonly endpoints: readonly [EndpointSpec<N>, EndpointSpec<N>];
  /** Its type in containerlab. Default: `veth`. */
  readonly type?: "veth";
}

/**
 * A segment: many nodes on one switch of its own. Faults of a segment act on each frame once: `->` when
 * it enters the segment, `<-` when it leaves it; without a direction they act when it enters.
 */
export interface SegmentSpec<N extends string = string> extends WireOptions {
  /** The nodes. */
  readonly segment: readonly EndpointSpec<N>[];
  /** Its name, which is also that of its switch. Default: `lan-` and the first node. */
  readonly name?: string;
  /** Spanning tree. Default: false. */
  readonly stp?: boolean;
}

/** A link with one end in the lab, in the form of containerlab. */
export interface AttachmentSpec<N extends string = string> {
  /**
   * `host`: a veth pair to the machine; `macvlan`: on an interface of the machine; `vxlan`: Ethernet in UDP to
   * another machine; `dummy`: no other end.
   */
  readonly type: "host" | "macvlan" | "vxlan" | "dummy";
  /** The end in the lab. */
  readonly endpoint: EndpointSpec<N>;
  /** Types `host` and `macvlan`: the interface of the machine. */
  readonly "host-interface"?: string;
  /** Type `vxlan`: the interface of the machine that leads to the remote. */
  readonly "parent-interface"?: string;
  /** Type `vxlan`: the address of the other machine. */
  readonly remote?: string;
  /** Type `vxlan`: the number of the network, 0..16777215. */
  readonly vni?: number;
  /** Type `vxlan`: the UDP port. Default: 14789, as in containerlab. */
  readonly "udp-port"?: number;
  /** Type `macvlan`: its mode. Default: `bridge`. */
  readonly mode?: "bridge" | "vepa" | "private" | "passthru";
  /** MTU in bytes. */
  readonly mtu?: number;
}

/** Faults of a link. A time is `20ms` or milliseconds, a share `1%` or a number in 0..1. */
export interface ImpairSpec {
  /** Delay of each packet. */
  readonly delay?: Time;
  /** Variation of the delay. */
  readonly jitter?: Time;
  /** Distribution of the variation. Default: `uniform`. */
  readonly distribution?: "uniform" | "normal" | "pareto" | "paretonormal";
  /** Share of packets that are lost. */
  readonly loss?: Share;
  /** Share of packets that come twice. */
  readonly duplicate?: Share;
  /** Share of packets with a wrong bit. */
  readonly corrupt?: Share;
  /** Share of packets that are not delayed and so overtake others. */
  readonly reorder?: Share;
  /** Rate: `10mbit`, or bits per second. */
  readonly rate?: Rate;
  /** Longest queue, in packets. */
  readonly limit?: number;
  /** Seed of the random numbers. Default: derived from that of the topology. */
  readonly seed?: number;
  /** The packets that are impaired, as a filter of captures: `{ protocol: tcp, port: 80 }`. Default: all. */
  readonly match?: Filter;
}

/** Faults by direction: `->` from the first end to the second one, `<-` back. */
export interface DirectedImpairSpec {
  /** From the first end to the second one. */
  readonly "->"?: ImpairSpec;
  /** From the second end to the first one. */
  readonly "<-"?: ImpairSpec;
}

/** A route. */
export interface RouteSpec {
  /** Destination: a prefix, an address or `default`. */
  readonly destination: string;
  /** The next router. */
  readonly gateway?: string;
  /** The interface that packets leave through. */
  readonly dev?: string;
  /** Treatment of the packets. Default: `unicast`. */
  readonly type?: "unicast" | "blackhole" | "unreachable" | "prohibit" | "throw";
  /** Of routes to one destination the lowest counts. Default: the kernel's. */
  readonly metric?: number;
  /** Number of the table. Default: table `main`. */
  readonly table?: number;
  /** Source address of packets that have none yet. */
  readonly prefsrc?: string;
}

/** A policy rule. */
export interface RuleSpec {
  /** Rules with a low number come first. */
  readonly priority: number;
  /** `inet` for IPv4, `inet6` for IPv6. Default: as the prefixes are, otherwise `inet`. */
  readonly family?: "inet" | "inet6";
  /** Only packets from this prefix. */
  readonly from?: string;
  /** Only packets to this prefix. */
  readonly to?: string;
  /** Only packets that came in by this interface. */
  readonly iif?: string;
  /** Only packets that leave by this interface. */
  readonly oif?: string;
  /** Only packets with this firewall mark. */
  readonly fwmark?: number;
  /** The table to look in; without `action`. */
  readonly table?: number;
  /** Refuses the packets in place of a lookup. */
  readonly action?: "blackhole" | "unreachable" | "prohibit";
}

/** A command that runs as long as the lab. */
export interface RunSpec {
  /** A line for `sh`, or the program and its arguments. */
  readonly command: string | readonly string[];
  /** When the next command may start. Default: at once. */
  readonly ready?: ReadySpec;
  /** Time in which it has to be ready. Default: 10s. */
  readonly timeout?: Time;
}

/** When a command is ready: one of these. */
export type ReadySpec =
  | { readonly tcp: number | string }
  | { readonly command: string | readonly string[] }
  | { readonly log: string };

/** A file that the commands of a node see. */
export interface FileSpec {
  /** Its text; in place of `source`. */
  readonly content?: string;
  /** The file of the machine that it shows; relative to the topology's file. */
  readonly source?: string;
  /** Permissions in octal, as text: `"755"`. Default: `"644"`. */
  readonly mode?: string;
}

/** A fault at a fixed time: `at`, and one of the other options but `for`, `every` and `link`. */
export interface EventSpec<N extends string = string> {
  /** Time after the start of the lab. */
  readonly at: Time;
  /** Duration; then it is undone. Default: it stays. */
  readonly for?: Time;
  /** Cuts links: nothing passes. */
  readonly cut?: LinkText<N> | readonly LinkText<N>[];
  /** Ends cuts, partitions and isolation of links. */
  readonly heal?: LinkText<N> | readonly LinkText<N>[];
  /** Holds frames back until `release`. */
  readonly hold?: LinkText<N> | readonly LinkText<N>[];
  /** Lets held frames go. */
  readonly release?: LinkText<N> | readonly LinkText<N>[];
  /** Cuts and heals links in turn. */
  readonly flap?: LinkText<N> | readonly LinkText<N>[];
  /** With `flap`: time between two changes. Default: 1s. */
  readonly every?: Time;
  /** Impairs the links in `link`; `null` clears. */
  readonly impair?: ImpairSpec | DirectedImpairSpec | null;
  /** With `impair`: the links. */
  readonly link?: LinkText<N> | readonly LinkText<N>[];
  /** Groups of nodes that do not reach each other. */
  readonly partition?: readonly (readonly NodeName<N>[])[];
  /** Nodes that reach nobody. */
  readonly isolate?: NodeName<N> | readonly NodeName<N>[];
  /** Nodes whose processes stop. */
  readonly pause?: NodeName<N> | readonly NodeName<N>[];
  /** Nodes whose processes are killed. */
  readonly kill?: NodeName<N> | readonly NodeName<N>[];
}

/**
 * A topology whose node names the compiler checks. It returns its argument; `check` has the other
 * checks.
 *
 * @param spec The topology.
 * @returns The same object.
 *
 * @example An unknown node is a type error
 * ```ts
 * import { topology } from "@netloom/netloom/lab";
 *
 * const spec = topology({
 *   nodes: { h1: {}, h2: {}, sw: { kind: "switch" } },
 *   links: ["h1 -- sw", { endpoints: ["h2:eth0", "sw"], impair: { loss: "1%" } }],
 * });
 * // { endpoints: ["h3", "sw"] } would be a type error: there is no node h3
 * console.log(Object.keys(spec.nodes)); // ["h1", "h2", "sw"]
 * ```
 */
export function topology<const N extends string>(spec: TopologySpec<N>): TopologySpec<N> {
  return spec;
}
