/**
 * A fully resolved topology: the contract between the pure half of a lab (read, check, resolve) and the
 * half that changes the kernel (plan, up, down).
 *
 * It is plain data: `JSON.parse(JSON.stringify(topology))` is equal to it. Everything that a file may
 * leave out is filled in, and the order is stable, so the same file gives the same bytes everywhere.
 * Lists are in name order (code units), unless a member says otherwise.
 *
 * @module
 */
import type { Filter } from "../capture/filter.ts";
import type { BridgeVlan } from "../rtnetlink/bridge_vlan.ts";

/** An interface of a node: `h1:eth0`. */
export type Endpoint = `${string}:${string}`;

/** One or both directions of a wire: from its first end to its second one, or back. */
export type Direction = "->" | "<-";

/** A topology with everything filled in. */
export interface ResolvedTopology {
  /** Version of this form; the record of a running lab keeps it. */
  readonly version: 1;
  /** Name of the lab; absent in a lab without a name, as in tests. */
  readonly name?: string;
  /** The seed of all that is random; absent when the file has none. */
  readonly seed?: number;
  /** All nodes, those that netloom adds included: a switch for each segment, the outside of a NAT. */
  readonly nodes: readonly ResolvedNode[];
  /** All veth pairs, in the order of their first ends. */
  readonly wires: readonly ResolvedWire[];
  /** The names that all nodes resolve, for `/etc/hosts`; {@link ResolvedNode.hosts} is added to it. */
  readonly hosts: readonly ResolvedHost[];
  /** Faults at fixed times, in the order of their times. */
  readonly schedule: readonly ResolvedEvent[];
  /** Objects that did not get the place that their name hashes to; `plan` shows them. */
  readonly displaced: readonly Displaced[];
}

/**
 * The kind of a node.
 *
 * - `host`, `router` and `switch` are namespaces that the lab creates. A router forwards; a switch has
 *   the bridge `br0`, whose ports are all its other interfaces.
 * - `nat` is a router that the lab creates, with a wire to a node that stands for the outside.
 * - `netns` is a namespace that exists already, see {@link ResolvedNode.netns}.
 * - `host-machine` is the namespace of the machine itself.
 *
 * In a node of the last two kinds the lab owns only what is listed here: it creates these interfaces,
 * routes, rules and tables, and removes them, and touches nothing else.
 */
export type ResolvedNodeKind = "host" | "router" | "switch" | "nat" | "netns" | "host-machine";

/** An existing namespace: of a process, at a path, or with a name below `/run/netns`. */
export type ExistingNetns =
  | { readonly pid: number }
  | { readonly path: string }
  | { readonly name: string };

/** A node: a network namespace. */
export interface ResolvedNode {
  /** Its name. Names with `@` are of nodes that netloom added for the outside of a NAT. */
  readonly name: string;
  /** Its kind. */
  readonly kind: ResolvedNodeKind;
  /** The namespace of a node of kind `netns`; absent for all other kinds. */
  readonly netns?: ExistingNetns;
  /** The families that it forwards, since it is the outside of a NAT; absent for all other nodes. */
  readonly uplink?: readonly ("ipv4" | "ipv6")[];
  /** The group in the file; absent without one. */
  readonly group?: string;
  /** The row in drawings, 1 is the top one; absent when the file has none. */
  readonly tier?: number;
  /** The segment that this switch stands for, as the file names it; absent for all other nodes. */
  readonly segment?: string;
  /** Interfaces in the order of creation: a parent or bridge before those that need it, then by name. */
  readonly interfaces: readonly ResolvedInterface[];
  /** Routes, by family (IPv4 first), table, destination and metric. */
  readonly routes: readonly ResolvedRoute[];
  /** Policy rules, by family and priority. */
  readonly rules: readonly ResolvedRule[];
  /** Kernel settings by their dotted names, sorted; an interface name in them has `/` for each `.`. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** A script as `nft -f` reads it; `""` for none. */
  readonly nftables: string;
  /** Commands in the order of the file; each starts when the one before it is ready. */
  readonly run: readonly ResolvedCommand[];
  /** Environment of its commands, sorted by name. */
  readonly environment: Readonly<Record<string, string>>;
  /** Files that its commands see in place of the machine's, by path. */
  readonly files: readonly ResolvedFile[];
  /** Names that only this node resolves. */
  readonly hosts: readonly ResolvedHost[];
}

/**
 * The kind of an interface: a kind of link of the kernel that the lab creates, or one of
 *
 * - `loopback`: `lo`, which each namespace has;
 * - `existing`: an interface that the node has already; it is used as a parent and never changed;
 * - `physical`: an interface of the machine that moves into the node, and home again at `down`.
 */
export type ResolvedInterfaceKind =
  | "veth"
  | "bridge"
  | "dummy"
  | "ifb"
  | "vlan"
  | "macvlan"
  | "macvtap"
  | "ipvlan"
  | "ipvtap"
  | "vxlan"
  | "loopback"
  | "existing"
  | "physical";

/** An interface of a node. */
export interface ResolvedInterface {
  /** Its name, 1 to 15 bytes. */
  readonly name: string;
  /** Its kind. */
  readonly kind: ResolvedInterfaceKind;
  /** Kind `physical`: the name of the interface in the machine's namespace. */
  readonly from?: string;
  /** MAC address, for the creating message; absent for kinds that have none of their own. */
  readonly mac?: string;
  /** MTU in bytes; absent where the kernel or the parent decides (`loopback`, `existing`). */
  readonly mtu?: number;
  /** Whether it is up. */
  readonly up: boolean;
  /** Addresses with prefix lengths, `10.0.0.1/24`: first IPv4, then IPv6, each in the order of the file. */
  readonly addresses: readonly string[];
  /**
   * Whether it has IPv6 at all. Where not, `disable_ipv6` is set before it comes up: ports of a bridge,
   * and all interfaces of a lab that has no IPv6 address, so that nothing floods router solicitations.
   */
  readonly ipv6: boolean;
  /** The address that the kernel derives from the MAC (EUI-64) when the link comes up; absent without IPv6. */
  readonly linkLocal?: string;
  /** IPv6 addresses are used at once, without duplicate address detection. */
  readonly nodad: boolean;
  /** The bridge of the same node that it is a port of. */
  readonly master?: string;
  /** The VLANs of a port, complete: the kernel's default VLAN 1 is listed or absent. Ascending. */
  readonly vlans?: readonly BridgeVlan[];
  /** The interface below, of this node or another one, for `vlan`, `macvlan`, `ipvlan`, …. */
  readonly parent?: Endpoint;
  /** Options of the kind, as the class of the link takes them: `{ id: 10 }`. Sorted by name. */
  readonly options: Readonly<Record<string, OptionValue>>;
}

/** A value of an option of a link kind. */
export type OptionValue = string | number | boolean | readonly string[];

/** A veth pair between two interfaces of kind `veth`. */
export interface ResolvedWire {
  /** Its two ends, in name order. */
  readonly ends: readonly [Endpoint, Endpoint];
  /** Faults from the start, by direction; absent members are directions without any. */
  readonly impair: Readonly<Partial<Record<Direction, ResolvedImpairment>>>;
}

/** An impairment in numbers, as `impair` takes them; an absent member has no effect. */
export interface ResolvedImpairment {
  /** Delay of each packet, in milliseconds. */
  readonly delay?: number;
  /** Variation of the delay, in milliseconds. */
  readonly jitter?: number;
  /** Distribution of the variation. */
  readonly distribution?: string;
  /** Share of lost packets, 0..1. */
  readonly loss?: number;
  /** Share of packets that come twice, 0..1. */
  readonly duplicate?: number;
  /** Share of packets with a wrong bit, 0..1. */
  readonly corrupt?: number;
  /** Share of packets that overtake others, 0..1. */
  readonly reorder?: number;
  /** Bits per second. */
  readonly rate?: number;
  /** Longest queue, in packets. */
  readonly limit?: number;
  /** Seed of this direction, derived from that of the file; absent when the file has none. */
  readonly seed?: number;
  /** The packets that are impaired; absent: all. */
  readonly match?: Filter;
}

/** A route of a node. */
export interface ResolvedRoute {
  /** Destination: a prefix; the default route is `0.0.0.0/0` or `::/0`. */
  readonly destination: string;
  /** Treatment of the packets. */
  readonly type: "unicast" | "blackhole" | "unreachable" | "prohibit" | "throw";
  /** Where packets go, the first next hop first: one for a plain route, several for equal-cost paths. */
  readonly nexthops: readonly ResolvedNexthop[];
  /** Metric; absent: the kernel's own. */
  readonly metric?: number;
  /** Number of the table; absent: `main`. */
  readonly table?: number;
  /** Source address for packets that have none. */
  readonly prefsrc?: string;
  /** Whether netloom derived it; otherwise the file has it. */
  readonly derived: boolean;
}

/** A next hop: at least one of its members is there. */
export interface ResolvedNexthop {
  /** Address of the next router. */
  readonly gateway?: string;
  /** Interface of the node. */
  readonly dev?: string;
  /** Share among several, 1..256; absent: 1. */
  readonly weight?: number;
}

/** A policy rule of a node. */
export interface ResolvedRule {
  /** `inet` for IPv4, `inet6` for IPv6. */
  readonly family: "inet" | "inet6";
  /** Priority. */
  readonly priority: number;
  /** Only packets from this prefix. */
  readonly from?: string;
  /** Only packets to this prefix. */
  readonly to?: string;
  /** Only packets that came in here. */
  readonly iif?: string;
  /** Only packets that are bound to this interface. */
  readonly oif?: string;
  /** Only packets with this firewall mark. */
  readonly fwmark?: number;
  /** Number of the table to look in; absent when `action` is not `lookup`. */
  readonly table?: number;
  /** Treatment of the packets. */
  readonly action: "lookup" | "blackhole" | "unreachable" | "prohibit";
}

/** A command that runs in a node. */
export interface ResolvedCommand {
  /** Program and arguments; a line of the file is `["sh", "-c", LINE]`. */
  readonly command: readonly [string, ...string[]];
  /** When the next command may start. */
  readonly ready: Readiness;
  /** Time in milliseconds in which it has to become ready. */
  readonly timeout: number;
}

/**
 * When a command is ready: at once, when it has ended with code 0, when a TCP port of the node accepts,
 * when another command ends with code 0, or when a line of its output has a text.
 */
export type Readiness =
  | { readonly kind: "started" }
  | { readonly kind: "exit" }
  | { readonly kind: "tcp"; readonly port: number; readonly address?: string }
  | { readonly kind: "command"; readonly command: readonly [string, ...string[]] }
  | { readonly kind: "log"; readonly text: string };

/** A file that the commands of a node see. */
export interface ResolvedFile {
  /** Its absolute path in the node. */
  readonly path: string;
  /** Its content; exactly one of `content` and `source` is there. */
  readonly content?: string;
  /** The file of the machine that it shows; absolute, or as written where the topology has no file. */
  readonly source?: string;
  /** Permissions: 0o644. */
  readonly mode: number;
}

/** A name and its addresses, the preferred one first. */
export interface ResolvedHost {
  /** The name. */
  readonly name: string;
  /** Addresses without prefix length. */
  readonly addresses: readonly string[];
}

/** A fault at a fixed time after the start of the lab. */
export interface ResolvedEvent {
  /** Time after the start, in milliseconds. */
  readonly at: number;
  /** Duration in milliseconds, after which it is undone; absent: it stays. */
  readonly for?: number;
  /** The fault. */
  readonly fault: ResolvedFault;
}

/** A fault. Wires are named by their ends, in the order of {@link ResolvedWire.ends}. */
export type ResolvedFault =
  | { readonly kind: "cut" | "heal"; readonly wires: readonly WireEnds[] }
  | { readonly kind: "hold" | "release"; readonly wires: readonly WireEnds[] }
  | { readonly kind: "flap"; readonly wires: readonly WireEnds[]; readonly every: number }
  | { readonly kind: "impair"; readonly changes: readonly ImpairChange[] }
  | { readonly kind: "partition"; readonly groups: readonly (readonly string[])[] }
  | { readonly kind: "isolate" | "pause" | "kill"; readonly nodes: readonly string[] };

/** New impairments of a wire; `null` clears, an absent direction stays as it is. */
export interface ImpairChange {
  /** The wire. */
  readonly ends: WireEnds;
  /** The impairments by direction, from its first end. */
  readonly impair: Readonly<Partial<Record<Direction, ResolvedImpairment | null>>>;
}

/** The two ends of a wire. */
export type WireEnds = readonly [Endpoint, Endpoint];

/** An object that another one displaced from the place that its name hashes to. */
export interface Displaced {
  /** The object: a link such as `a:eth0 -- b:eth0`, a segment, or an interface. */
  readonly object: string;
  /** What it asked for: `10.0.12.0/31`, or a MAC address. */
  readonly wanted: string;
  /** What it got. */
  readonly got: string;
  /** The object in its place. */
  readonly by: string;
}
