/**
 * The rule of a person: matches and statements by the words of `nft`.
 *
 * @module
 */
import type { Value } from "./datatypes.ts";
import type { Expression } from "./expressions/mod.ts";
import type { Verdict } from "./data.ts";
import type { LinkTarget } from "../rtnetlink/link_target.ts";
import type { ConcatenationMatch, VerdictMap } from "./lookup.ts";
import type { Match } from "./match.ts";
import type { SelectorName } from "./selectors.ts";

/** Counts packets. */
export interface Counter {
  /** Packets so far. */
  readonly packets?: number;
  /** Bytes so far. */
  readonly bytes?: number;
}

/** A counter, quota or limit of the table, which several rules may share. */
export interface NamedObject {
  /** Its name. */
  readonly name: string;
}

/** A unit of time of a limit. */
export type LimitUnit = "second" | "minute" | "hour" | "day" | "week";

/** A rate: packets, or bytes. */
export type LimitRate =
  | `${number}/${LimitUnit}`
  | `${number} ${"bytes" | "kbytes" | "mbytes"}/${LimitUnit}`;

/** Limits a rate: the rule goes on below it, or above it. */
export interface Limit {
  /** The rate. */
  readonly rate: LimitRate;
  /** The rule goes on above the rate instead of below. Default: false. */
  readonly over?: boolean;
  /** Packets, or bytes, that may come at once above the rate. Default: 5 packets, or no bytes. */
  readonly burst?: number;
}

/** Passes a number of bytes. */
export interface Quota {
  /** The number of bytes. */
  readonly bytes: number;
  /** The rule goes on after these bytes instead of until then. Default: false. */
  readonly over?: boolean;
  /** Bytes so far. */
  readonly used?: number;
}

/** A level of the kernel's log. */
export type LogLevel =
  | "emerg"
  | "alert"
  | "crit"
  | "err"
  | "warn"
  | "notice"
  | "info"
  | "debug"
  | "audit";

/** Writes a line into the kernel's log, or gives packets to programs that listen. */
export interface Log {
  /** Text before each line. */
  readonly prefix?: string;
  /** Its level. Default: `warn`. */
  readonly level?: LogLevel;
  /** Group of the programs that listen (NFLOG), instead of the kernel's log. */
  readonly group?: number;
  /** Bytes of a packet that they get. Default: all. */
  readonly snaplen?: number;
  /** Packets that are collected before they get them. */
  readonly queueThreshold?: number;
}

/** Options of all translations. */
export interface NatFlags {
  /** Ports are picked at random. */
  readonly random?: boolean;
  /** Ports are picked at random, the generator of the kernel decides. */
  readonly fullyRandom?: boolean;
  /** A source has the same address in all connections. */
  readonly persistent?: boolean;
}

/** Translates an address: `10.0.0.1`, `10.0.0.1:80`, a range of both, `[fd00::1]:80`, `:80`. */
export type Nat =
  | string
  | ({
    /** The addresses and ports. */
    readonly to: string;
  } & NatFlags);

/** Translates the source into the address of the link that the packet leaves by. */
export interface Masquerade extends NatFlags {
  /** The ports: `:1000-2000`. */
  readonly to?: string;
}

/** Hands packets to a program (NFQUEUE). */
export interface Queue {
  /** The first queue. */
  readonly num: number;
  /** The number of queues. Default: 1. */
  readonly total?: number;
  /** Packets pass where no program listens. Default: false, they are dropped. */
  readonly bypass?: boolean;
  /** The processor picks the queue. Default: false. */
  readonly fanout?: boolean;
}

/** Numbers that are generated for each packet. */
export interface Numgen {
  /** `random`, or one after the other (`inc`). */
  readonly mode: "random" | "inc";
  /** The numbers are below it. */
  readonly mod: number;
  /** Added to each. Default: 0. */
  readonly offset?: number;
  /** The comparison of the number: `{ lt: 50 }`. */
  readonly match: Match<number | string>;
}

/** The answer to a packet that is refused. */
export type Reject =
  | true
  | "tcp reset"
  | `icmp ${string}`
  | `icmpv6 ${string}`
  | `icmpx ${"port-unreachable" | "host-unreachable" | "no-route" | "admin-prohibited"}`;

/** Matches of addresses. */
export interface AddressMatches {
  /** Source address of IPv4. */
  readonly "ip saddr"?: Match<string>;
  /** Destination address of IPv4. */
  readonly "ip daddr"?: Match<string>;
  /** Source address of IPv6. */
  readonly "ip6 saddr"?: Match<string>;
  /** Destination address of IPv6. */
  readonly "ip6 daddr"?: Match<string>;
  /** Source address of Ethernet. */
  readonly "ether saddr"?: Match<string>;
  /** Destination address of Ethernet. */
  readonly "ether daddr"?: Match<string>;
}

/** Matches of links, by name; `*` at the end stands for any rest. */
export interface LinkMatches {
  /** The link that the packet came in by. */
  readonly iifname?: Match<string>;
  /** The link that it leaves by. */
  readonly oifname?: Match<string>;
  /** The port of a bridge that it came in by: the bridge. */
  readonly "meta ibrname"?: Match<string>;
  /** The port of a bridge that it leaves by: the bridge. */
  readonly "meta obrname"?: Match<string>;
}

/** Matches of links by index. A name or a handle stands for the index that the link has when the rule is added. */
export interface IndexMatches {
  /** The link that the packet came in by. */
  readonly iif?: LinkTarget | Match<Value> | readonly LinkTarget[] | {
    readonly not: LinkTarget | readonly LinkTarget[];
  };
  /** The link that it leaves by. */
  readonly oif?: IndexMatches["iif"];
}

/** The other matches: numbers, and words for some of them. */
export type NumberMatches = {
  readonly [
    K in Exclude<SelectorName, keyof AddressMatches | keyof LinkMatches | keyof IndexMatches>
  ]?: Match<Value>;
};

/** Verdict maps: the verdict for each value of a property. */
export type VerdictMaps = { readonly [K in SelectorName as `${K} vmap`]?: VerdictMap };

/** Changes of headers: `ip dscp set`; the kernel corrects the checksums. */
export type HeaderChanges = { readonly [K in HeaderField as `${K} set`]?: Value };

/** The fields of headers. */
export type HeaderField = Exclude<
  SelectorName,
  `meta ${string}` | `ct ${string}` | `fib ${string}` | `${"i" | "o"}if${string}`
>;

/** Concatenations of properties, each a word of a match, and verdict maps of them: `ip saddr . tcp dport vmap`. */
export interface Concatenations {
  /** Words of matches with points between them; with `vmap` at the end, a verdict map. */
  readonly [words: `${string} . ${string}`]:
    | ConcatenationMatch
    | VerdictMap
    | Match<Value>
    | undefined;
}

/**
 * Matches and statements of a rule, by the words of `nft`. The order of the properties is the order in which
 * a packet meets them: `{ "tcp dport": 22, counter: true, verdict: "accept" }`.
 *
 * A rule has at least one match or statement. A verdict (but `continue`), `snat`, `dnat`, `masquerade`, `redirect`,
 * `reject`, `queue` and `fwd to` end the rule: a word after them would have no effect, and is a `TypeError`.
 */
export interface Statements
  extends
    AddressMatches,
    LinkMatches,
    IndexMatches,
    NumberMatches,
    VerdictMaps,
    HeaderChanges,
    Concatenations {
  /** A number that is generated for each packet, such as for a loss. */
  readonly numgen?: Numgen;
  /** Counts packets; a value sets it. */
  readonly counter?: true | Counter | NamedObject;
  /** Limits a rate. */
  readonly limit?: LimitRate | Limit | NamedObject;
  /** Passes a number of bytes. */
  readonly quota?: number | Quota | NamedObject;
  /** Reports packets. */
  readonly log?: true | Log;
  /** Sets the mark, also to that of the connection. */
  readonly "meta mark set"?: number | "ct mark" | "meta mark";
  /** Sets the priority of the queueing disciplines. */
  readonly "meta priority set"?: number;
  /** Sets the type of the packet: `host`. */
  readonly "meta pkttype set"?: string;
  /** Sets the mark of the connection, also to that of the packet. */
  readonly "ct mark set"?: number | "meta mark" | "ct mark";
  /** The packet is part of no connection. */
  readonly notrack?: true;
  /** Translates the source. */
  readonly snat?: Nat;
  /** Translates the destination. */
  readonly dnat?: Nat;
  /** Translates the source into the address of the link that the packet leaves by. */
  readonly masquerade?: true | Masquerade;
  /** Translates the destination into the machine itself: a port, or ports. */
  readonly redirect?: true | number | Masquerade;
  /** Refuses the packet with an answer; `true`: the port is unreachable. */
  readonly reject?: Reject;
  /** Hands the packet to a program: a queue. */
  readonly queue?: number | Queue;
  /** Sends the packet out of a link, past the network stack. */
  readonly "fwd to"?: LinkTarget;
  /** Sends a copy of the packet out of a link. */
  readonly "dup to"?: LinkTarget;
  /** The verdict on the packet. */
  readonly verdict?: Verdict;
  /** Steps without words here: as the kernel has them. */
  readonly expressions?: readonly Expression[];
  /** Text for people, at most 127 bytes. */
  readonly comment?: string;
}

/** A rule: its statements, in several objects where a word comes twice. */
export type Rule = Statements | readonly Statements[];
