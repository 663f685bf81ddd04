/**
 * Policy rules: RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE (`linux/fib_rules.h`, ip-rule(8)).
 *
 * @module
 */
import { be32, be64, type Field, named, struct, text, u16, u32, u8 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { shellWord } from "../netlink/trace.ts";
import { boolean, integer, show } from "../options.ts";
import {
  ROUTE_PROTOCOLS,
  ROUTE_TABLES,
  type RouteProtocol,
  type RouteTable,
  RTM,
} from "./constants.ts";
import {
  byteValue,
  checkFamily,
  checkNetwork,
  familyNumber,
  familyOption,
  familyWord,
  ip,
  type IpFamily,
  isOfFamily,
} from "./fields.ts";
import { formatIp } from "../packet/address.ts";

/** Attribute numbers. */
export const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  GOTO: 4,
  UNUSED2: 5,
  PRIORITY: 6,
  UNUSED3: 7,
  UNUSED4: 8,
  UNUSED5: 9,
  FWMARK: 10,
  FLOW: 11,
  TUN_ID: 12,
  SUPPRESS_IFGROUP: 13,
  SUPPRESS_PREFIXLEN: 14,
  TABLE: 15,
  FWMASK: 16,
  OIFNAME: 17,
  PAD: 18,
  L3MDEV: 19,
  UID_RANGE: 20,
  PROTOCOL: 21,
  IP_PROTO: 22,
  SPORT_RANGE: 23,
  DPORT_RANGE: 24,
  DSCP: 25,
  FLOWLABEL: 26,
  FLOWLABEL_MASK: 27,
  SPORT_MASK: 28,
  DPORT_MASK: 29,
  DSCP_MASK: 30,
} as const;

/** Bits of `fib_rule_hdr.flags`. */
export const FIB_RULE = {
  PERMANENT: 1,
  INVERT: 2,
  UNRESOLVED: 4,
  IIF_DETACHED: 8,
  OIF_DETACHED: 16,
} as const;

/** Treatment of the packets of a rule. */
export type PolicyRuleAction = "lookup" | "goto" | "nop" | "blackhole" | "unreachable" | "prohibit";

/** The numbers of {@link PolicyRuleAction}: `FR_ACT_*`. */
export const RULE_ACTIONS: Readonly<Record<PolicyRuleAction, number>> = {
  lookup: 1,
  goto: 2,
  nop: 3,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
};

/** A state of a rule: its `goto` has no such rule, or there is no link of the name in `iif` or `oif`. */
export type PolicyRuleFlag = "unresolved" | "iif_detached" | "oif_detached";

const FLAGS: Readonly<Record<PolicyRuleFlag, number>> = {
  unresolved: FIB_RULE.UNRESOLVED,
  iif_detached: FIB_RULE.IIF_DETACHED,
  oif_detached: FIB_RULE.OIF_DETACHED,
};

/** A port, or the lowest and the highest of a range. */
export type PolicyRulePorts = number | readonly [low: number, high: number];

/** A policy rule: the packets that it is about, and what becomes of them. */
export interface PolicyRule {
  /** `inet` for IPv4, `inet6` for IPv6; default: as the addresses are, IPv4 when there are none. */
  readonly family?: IpFamily;
  /** Rules with a low number come first. Default: before all but the first rule. */
  readonly priority?: number;
  /** The rule is about the packets that do not match. Default: false. */
  readonly not?: boolean;
  /** Only packets from this prefix. Default: all. */
  readonly from?: string;
  /** Only packets to this prefix. Default: all. */
  readonly to?: string;
  /** Only packets that came in by the link of this name; `lo`: packets of the namespace itself. */
  readonly iif?: string;
  /** Only packets of sockets that are bound to the link of this name. */
  readonly oif?: string;
  /** Only packets with this firewall mark. */
  readonly fwmark?: number;
  /** The bits of the mark to compare. Default: all. */
  readonly fwmask?: number;
  /** Only packets with this type of service, the whole byte: a multiple of 4. Default: 0, all. */
  readonly tos?: number;
  /** Only packets with this DSCP, 0..63, 0 too. Linux 6.12. */
  readonly dscp?: number;
  /** The bits of the DSCP to compare. Default: all. Linux 6.15. */
  readonly dscpMask?: number;
  /** IPv6: only packets with this flow label, 0..1048575. Linux 6.14. */
  readonly flowlabel?: number;
  /** IPv6: the bits of the flow label to compare. Default: all. Linux 6.14. */
  readonly flowlabelMask?: number;
  /** Only packets of this IP protocol: 6 TCP, 17 UDP. */
  readonly ipProtocol?: number;
  /** Only packets from this port, or this range of ports. */
  readonly sport?: PolicyRulePorts;
  /** The bits of `sport` to compare; `sport` is one port then. Default: all. Linux 6.15. */
  readonly sportMask?: number;
  /** Only packets to this port, or this range of ports. */
  readonly dport?: PolicyRulePorts;
  /** The bits of `dport` to compare; `dport` is one port then. Default: all. Linux 6.15. */
  readonly dportMask?: number;
  /** Only packets of the sockets of these users, lowest and highest. */
  readonly uidRange?: readonly [low: number, high: number];
  /** Only packets that came out of a tunnel with this id, 1..2^53. */
  readonly tunId?: number;
  /** Packets of a VRF, each in the table of its VRF; instead of `table`. Default: false. */
  readonly l3mdev?: boolean;
  /** The table to look in. */
  readonly table?: RouteTable | number;
  /** The rule with this priority, a higher one, is the next. */
  readonly goto?: number;
  /** Routes of the table with a prefix of at most this length do not count: with 0 the default route. */
  readonly suppressPrefixlength?: number;
  /** Routes of the table through links of this group do not count. */
  readonly suppressIfgroup?: number;
  /** IPv4: traffic classes (realms), from in the high 16 bits, to in the low ones. */
  readonly realms?: number;
  /** Its origin; default `unspec`. */
  readonly protocol?: RouteProtocol | number;
  /** Treatment of the packets; default `goto` with `goto`, otherwise `lookup`. */
  readonly action?: PolicyRuleAction | number;
}

/** A policy rule as the kernel reports it. */
export interface PolicyRuleInfo extends PolicyRule {
  /** `inet` for IPv4, `inet6` for IPv6. */
  readonly family: IpFamily;
  /** Rules with a low number come first. */
  readonly priority: number;
  /** Its origin: `kernel` for the rules of every namespace. */
  readonly protocol: RouteProtocol | number;
  /** Treatment of the packets; a number for one that netloom does not know. */
  readonly action: PolicyRuleAction | number;
  /** Why it matches nothing, or leads nowhere, for now. */
  readonly flags: readonly PolicyRuleFlag[];
}

/** The attributes of a rule. */
type RuleAttributes =
  & { -readonly [K in keyof PlainOptions]: PlainOptions[K] }
  & {
    dst?: string;
    src?: string;
    l3mdev?: number;
    sport?: readonly [number, number];
    dport?: readonly [number, number];
  };

/** Options that the wire has alike. */
type PlainOptions = Omit<
  PolicyRule,
  "family" | "not" | "from" | "to" | "tos" | "action" | "l3mdev" | "sport" | "dport"
>;

/** Two numbers, the lower one first: `struct fib_rule_port_range`, `struct fib_rule_uid_range`. */
function range(type: number, bytes: 2 | 4): Field<readonly [number, number]> {
  const max = 2 ** (bytes * 8) - 1;
  const [set, get] = bytes === 2
    ? ["setUint16", "getUint16"] as const
    : ["setUint32", "getUint32"] as const;
  return struct<readonly [number, number]>(
    type,
    bytes * 2,
    (view, at, value, path) => {
      if (!Array.isArray(value) || value.length !== 2) {
        throw new TypeError(`${path} must be [low, high]: got ${show(value)}`);
      }
      const [low, high] = value.map((it, i) => integer(it, `${path}[${i}]`, 0, max));
      if (low! > high!) throw new RangeError(`${path} must be [low, high]: got ${show(value)}`);
      view[set](at, low!, true);
      view[set](at + bytes, high!, true);
    },
    (view, at) => [view[get](at, true), view[get](at + bytes, true)],
  );
}

const ruleSchema: Schema<RuleAttributes> = schema<RuleAttributes>("FRA_", FRA, {
  dst: ip(FRA.DST),
  src: ip(FRA.SRC),
  iif: text(FRA.IIFNAME, 15),
  oif: text(FRA.OIFNAME, 15),
  priority: u32(FRA.PRIORITY),
  fwmark: u32(FRA.FWMARK),
  fwmask: u32(FRA.FWMASK),
  dscp: u8(FRA.DSCP, { max: 63 }),
  dscpMask: u8(FRA.DSCP_MASK, { max: 63 }),
  flowlabel: be32(FRA.FLOWLABEL, { max: 0xfffff }),
  flowlabelMask: be32(FRA.FLOWLABEL_MASK, { max: 0xfffff }),
  ipProtocol: u8(FRA.IP_PROTO),
  sport: range(FRA.SPORT_RANGE, 2),
  sportMask: u16(FRA.SPORT_MASK),
  dport: range(FRA.DPORT_RANGE, 2),
  dportMask: u16(FRA.DPORT_MASK),
  uidRange: range(FRA.UID_RANGE, 4),
  tunId: be64(FRA.TUN_ID, { min: 1 }),
  l3mdev: u8(FRA.L3MDEV),
  table: named(u32(FRA.TABLE), ROUTE_TABLES),
  goto: u32(FRA.GOTO),
  suppressPrefixlength: u32(FRA.SUPPRESS_PREFIXLEN, { max: 128 }),
  suppressIfgroup: u32(FRA.SUPPRESS_IFGROUP),
  realms: u32(FRA.FLOW),
  protocol: named(u8(FRA.PROTOCOL), ROUTE_PROTOCOLS),
}, [FRA.PAD]);

/** Options that each came with a version of Linux: an older kernel silently ignores them. */
export const NEWER_RULE_OPTIONS: Readonly<Partial<Record<keyof PolicyRule, string>>> = {
  dscp: "6.12",
  flowlabel: "6.14",
  flowlabelMask: "6.14",
  dscpMask: "6.15",
  sportMask: "6.15",
  dportMask: "6.15",
};

const ONLY_IPV4 = ["realms"] as const;
const ONLY_IPV6 = ["flowlabel", "flowlabelMask"] as const;

/** The family of a rule: the given one, or that of its addresses. */
export function familyOfRule({ family, from, to }: PolicyRule): IpFamily {
  if (family !== undefined) return familyWord(familyNumber(family));
  return [from, to].some((it) => typeof it === "string" && it.includes(":")) ? "inet6" : "inet";
}

function actionOf({ action, goto }: PolicyRule): number {
  return byteValue(action ?? (goto === undefined ? "lookup" : "goto"), RULE_ACTIONS, "action");
}

const HEADER = 12;

/** Appends `struct fib_rule_hdr` and the attributes. A deletion matches anything in what it leaves open. */
function writeRule(writer: Writer, message: PolicyRule, deletion: boolean): void {
  const { family: _, not = false, from, to, tos = 0, action, l3mdev, sport, dport, ...rest } =
    message;
  const family = familyOfRule(message);
  for (const key of family === "inet6" ? ONLY_IPV4 : ONLY_IPV6) {
    if (message[key] === undefined) continue;
    const other = family === "inet6" ? "IPv4" : "IPv6";
    throw new TypeError(`${key} is for ${other} rules: got ${show(message[key])}`);
  }
  const [source, destination] = ([[from, "from"], [to, "to"]] as const).map(([text, path]) => {
    if (text === undefined) return undefined;
    const network = checkNetwork(text, path);
    checkFamily(network.address, familyNumber(family), path);
    return network;
  });
  const open = deletion && action === undefined && rest.goto === undefined;
  const at = writer.reserve(HEADER);
  const { bytes, view } = writer;
  bytes[at] = familyNumber(family);
  bytes[at + 1] = destination?.length ?? 0;
  bytes[at + 2] = source?.length ?? 0;
  bytes[at + 3] = byteValue(tos, {}, "tos");
  bytes[at + 7] = open ? 0 : actionOf(message);
  view.setUint32(at + 8, boolean(not, "not") ? FIB_RULE.INVERT : 0, true);
  ruleSchema.write(writer, {
    ...(destination?.length && { dst: formatIp(destination.address) }),
    ...(source?.length && { src: formatIp(source.address) }),
    ...(rest.flowlabel !== undefined && { flowlabelMask: ALL_BITS.flowlabelMask }),
    ...rest,
    ...(l3mdev !== undefined && boolean(l3mdev, "l3mdev") && { l3mdev: 1 }),
    ...(sport !== undefined && { sport: asRange(sport) }),
    ...(dport !== undefined && { dport: asRange(dport) }),
  });
}

function asRange(ports: PolicyRulePorts): readonly [number, number] {
  return typeof ports === "number" ? [ports, ports] : ports;
}

function asPorts([low, high]: readonly [number, number]): PolicyRulePorts {
  return low === high ? low : [low, high];
}

/** The masks that compare all bits: the kernel reports them, and some kernels want them. */
const ALL_BITS = {
  fwmask: 0xffffffff,
  dscpMask: 0x3f,
  flowlabelMask: 0xfffff,
  sportMask: 0xffff,
  dportMask: 0xffff,
  suppressPrefixlength: 0xffffffff,
} as const;

/** Reads `struct fib_rule_hdr` and the attributes. */
export function readRule(source: Source, start: number, end: number): PolicyRuleInfo {
  const { bytes, view } = source;
  const { dst, src, table, sport, dport, l3mdev, ...rest } = ruleSchema.read(
    source,
    start + HEADER,
    end,
  );
  for (const key of Object.keys(ALL_BITS) as (keyof typeof ALL_BITS)[]) {
    if (rest[key] === ALL_BITS[key]) delete rest[key];
  }
  const number = bytes[start + 7]!;
  const [action = number] = (Object.keys(RULE_ACTIONS) as PolicyRuleAction[])
    .filter((word) => RULE_ACTIONS[word] === number);
  const flags = view.getUint32(start + 8, true);
  const tos = bytes[start + 3]!;
  return {
    family: familyWord(bytes[start]!),
    priority: 0,
    protocol: "unspec",
    ...(flags & FIB_RULE.INVERT && { not: true }),
    ...(src !== undefined && { from: `${src}/${bytes[start + 2]}` }),
    ...(dst !== undefined && { to: `${dst}/${bytes[start + 1]}` }),
    ...(tos && { tos }),
    ...rest,
    ...(sport && { sport: asPorts(sport) }),
    ...(dport && { dport: asPorts(dport) }),
    ...(l3mdev && { l3mdev: true }),
    ...(table !== undefined && table !== "unspec" && number === RULE_ACTIONS.lookup && { table }),
    action,
    flags: (Object.keys(FLAGS) as PolicyRuleFlag[]).filter((flag) => flags & FLAGS[flag]),
  };
}

/** The framing of a rule. */
export const ruleFormat: MessageFormat<PolicyRule, PolicyRuleInfo> = {
  headerLength: HEADER,
  schemaOf: () => ruleSchema,
  write: (writer, message) => writeRule(writer, message, false),
  read: readRule,
};

const deletionFormat: MessageFormat<PolicyRule, PolicyRuleInfo> = {
  ...ruleFormat,
  write: (writer, message) => writeRule(writer, message, true),
};

/** A rule that was read, as one to be set. */
export function settableRule({ flags: _, ...rule }: PolicyRuleInfo): PolicyRule {
  return rule;
}

const masked = (value: unknown, mask: unknown) => mask === undefined ? value : `${value}/${mask}`;
const hex = (value: number) => `0x${value.toString(16)}`;

/** iproute2's words for a rule, without those for what is left open. */
function words(rule: PolicyRule): string {
  const { fwmark, fwmask, dscp, dscpMask, flowlabel, flowlabelMask, realms, action } = rule;
  const port = (ports: PolicyRulePorts | undefined, mask: number | undefined) =>
    ports === undefined ? undefined : masked(asRange(ports).join("-"), mask && hex(mask));
  const all: [word: string, value: unknown][] = [
    ["priority", rule.priority],
    ["from", rule.from],
    ["to", rule.to],
    ["iif", rule.iif && shellWord(rule.iif)],
    ["oif", rule.oif && shellWord(rule.oif)],
    ["fwmark", fwmark ?? fwmask === undefined ? fwmark : 0],
    ["tos", rule.tos && hex(rule.tos)],
    ["dscp", dscp === undefined ? undefined : masked(dscp, dscpMask && hex(dscpMask))],
    [
      "flowlabel",
      flowlabel === undefined ? undefined : masked(flowlabel, flowlabelMask && hex(flowlabelMask)),
    ],
    ["ipproto", rule.ipProtocol],
    ["sport", port(rule.sport, rule.sportMask)],
    ["dport", port(rule.dport, rule.dportMask)],
    ["uidrange", rule.uidRange?.join("-")],
    ["tun_id", rule.tunId],
    ["protocol", rule.protocol],
    ["realms", realms === undefined ? undefined : `${realms >>> 16}/${realms & 0xffff}`],
    ["lookup", rule.table],
    ["suppress_prefixlength", rule.suppressPrefixlength],
    ["suppress_ifgroup", rule.suppressIfgroup],
    ["goto", rule.goto],
  ];
  const parts = all.filter(([, value]) => value !== undefined)
    .map(([word, value]) => `${word} ${word === "fwmark" ? masked(value, fwmask) : value}`);
  if (rule.not) parts.unshift("not");
  if (rule.l3mdev) parts.push("l3mdev");
  if (action !== undefined && action !== "lookup" && action !== "goto") parts.push(`${action}`);
  return parts.join(" ");
}

function change(verb: "add" | "delete", rule: PolicyRule): Request<undefined> {
  const isNew = verb === "add";
  return {
    type: isNew ? RTM.NEWRULE : RTM.DELRULE,
    typeName: isNew ? "RTM_NEWRULE" : "RTM_DELRULE",
    flags: isNew ? NLM_F.CREATE | NLM_F.EXCL : 0,
    operation: `${verb} rule ${words(rule)}`,
    format: isNew ? ruleFormat : deletionFormat,
    message: rule,
    command: () => {
      const family = familyOfRule(rule) === "inet6" ? " -6" : "";
      return `ip${family} rule ${verb} ${words(rule)}`;
    },
  };
}

/** Adds a rule. EEXIST when there is one like it. */
export function newPolicyRule(rule: PolicyRule): Request<undefined> {
  return change("add", rule);
}

/** Deletes the first rule that has all that is given. ENOENT when there is none. */
export function deletePolicyRule(rule: PolicyRule): Request<undefined> {
  return change("delete", rule);
}

/** Reads the rules of a family, or of both. */
export function dumpPolicyRules(family?: IpFamily): DumpRequest<PolicyRuleInfo> {
  return {
    type: RTM.GETRULE,
    typeName: "RTM_GETRULE",
    flags: 0,
    operation: "list rules",
    format: {
      ...ruleFormat,
      write: (writer) => {
        const at = writer.reserve(HEADER); // may replace the bytes
        writer.bytes[at] = familyNumber(family);
      },
    },
    message: {},
    reply: readRule,
    // All families are more than IP's.
    filter: (rule) => isOfFamily(rule.family, family),
    command: () => `ip${familyOption(family)} rule list`,
  };
}
