/**
 * Policy rules: RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE (`linux/fib_rules.h`, ip-rule(8)).
 *
 * @module
 */
import { text, u32 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { shellWord } from "../netlink/trace.ts";
import { wordValue } from "../options.ts";
import { RTM } from "./constants.ts";
import { checkNetwork, familyNumber, familyWord, ip, type IpFamily } from "./fields.ts";
import { formatIp } from "../packet/address.ts";

/** Attribute numbers. */
export const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  GOTO: 4,
  PRIORITY: 6,
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
} as const;

/** Treatment of the packets of a rule. */
export type RuleAction = "lookup" | "blackhole" | "unreachable" | "prohibit";

/** The numbers of {@link RuleAction}: `FR_ACT_*`. */
const ACTIONS: Readonly<Record<RuleAction, number>> = {
  lookup: 1,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
};

/** A policy rule. */
export interface RuleMessage {
  /** `inet` for IPv4, `inet6` for IPv6. */
  readonly family: IpFamily;
  /** Rules with a low number come first. */
  readonly priority: number;
  /** Only packets from this prefix. Default: all. */
  readonly from?: string;
  /** Only packets to this prefix. Default: all. */
  readonly to?: string;
  /** Only packets that came in by the link of this name. */
  readonly iif?: string;
  /** Only packets that are bound to the link of this name. */
  readonly oif?: string;
  /** Only packets with this firewall mark. */
  readonly fwmark?: number;
  /** Number of the table to look in; absent where `action` is not `lookup`. */
  readonly table?: number;
  /** Treatment of the packets; a number for one that netloom does not know. */
  readonly action: RuleAction | number;
}

/** The attributes of a rule. */
interface RuleAttributes {
  dst?: string;
  src?: string;
  iif?: string;
  oif?: string;
  priority?: number;
  fwmark?: number;
  table?: number;
}

const ruleSchema: Schema<RuleAttributes> = schema<RuleAttributes>("FRA_", FRA, {
  dst: ip(FRA.DST),
  src: ip(FRA.SRC),
  iif: text(FRA.IIFNAME, 15),
  oif: text(FRA.OIFNAME, 15),
  priority: u32(FRA.PRIORITY),
  fwmark: u32(FRA.FWMARK),
  table: u32(FRA.TABLE),
}, [FRA.PAD, FRA.SUPPRESS_PREFIXLEN, FRA.SUPPRESS_IFGROUP, FRA.FWMASK, FRA.PROTOCOL]);

/** Appends `struct fib_rule_hdr` and the attributes. */
function writeRule(writer: Writer, message: RuleMessage): void {
  const { family, from, to, action, iif, oif, fwmark, table, priority } = message;
  const source = from === undefined ? undefined : checkNetwork(from, "from");
  const destination = to === undefined ? undefined : checkNetwork(to, "to");
  const at = writer.reserve(12);
  writer.bytes[at] = familyNumber(family);
  writer.bytes[at + 1] = destination?.length ?? 0;
  writer.bytes[at + 2] = source?.length ?? 0;
  writer.bytes[at + 7] = typeof action === "number" ? action : wordValue(action, ACTIONS, "action");
  ruleSchema.write(writer, {
    ...(destination?.length && { dst: formatIp(destination.address) }),
    ...(source?.length && { src: formatIp(source.address) }),
    ...(iif !== undefined && { iif }),
    ...(oif !== undefined && { oif }),
    priority,
    ...(fwmark !== undefined && { fwmark }),
    ...(table !== undefined && { table }),
  });
}

/** Reads `struct fib_rule_hdr` and the attributes. */
function readRule(source: Source, start: number, end: number): RuleMessage {
  const { bytes } = source;
  const { dst, src, priority = 0, table, ...rest } = ruleSchema.read(source, start + 12, end);
  const number = bytes[start + 7]!;
  const [action = number] = (Object.keys(ACTIONS) as RuleAction[])
    .filter((word) => ACTIONS[word] === number);
  return {
    family: familyWord(bytes[start]!),
    priority,
    ...(src !== undefined && { from: `${src}/${bytes[start + 2]}` }),
    ...(dst !== undefined && { to: `${dst}/${bytes[start + 1]}` }),
    ...rest,
    ...(table !== undefined && number === ACTIONS.lookup && { table }),
    action,
  };
}

const format: MessageFormat<RuleMessage> = {
  headerLength: 12,
  schemaOf: () => ruleSchema,
  write: writeRule,
  read: readRule,
};

function words(rule: RuleMessage): string {
  const { priority, from = "all", to, iif, oif, fwmark, table, action } = rule;
  return [
    `priority ${priority} from ${from}`,
    to === undefined ? "" : ` to ${to}`,
    iif === undefined ? "" : ` iif ${shellWord(iif)}`,
    oif === undefined ? "" : ` oif ${shellWord(oif)}`,
    fwmark === undefined ? "" : ` fwmark ${fwmark}`,
    action === "lookup" ? ` lookup ${table}` : ` ${action}`,
  ].join("");
}

function change(verb: "add" | "delete", rule: RuleMessage): Request<undefined> {
  const isNew = verb === "add";
  return {
    type: isNew ? RTM.NEWRULE : RTM.DELRULE,
    typeName: isNew ? "RTM_NEWRULE" : "RTM_DELRULE",
    flags: isNew ? NLM_F.CREATE | NLM_F.EXCL : 0,
    operation: `${verb} rule ${words(rule)}`,
    format,
    message: rule,
    command: () => `ip${rule.family === "inet6" ? " -6" : ""} rule ${verb} ${words(rule)}`,
  };
}

/** Adds a rule. */
export function newRule(rule: RuleMessage): Request<undefined> {
  return change("add", rule);
}

/** Deletes a rule. ENOENT when there is none like it. */
export function deleteRule(rule: RuleMessage): Request<undefined> {
  return change("delete", rule);
}

/** Reads the rules of a family. */
export function dumpRules(family: IpFamily): DumpRequest<RuleMessage> {
  return {
    type: RTM.GETRULE,
    typeName: "RTM_GETRULE",
    flags: 0,
    operation: "list rules",
    format: {
      ...format,
      write: (writer) => {
        writer.bytes[writer.reserve(12)] = familyNumber(family);
      },
    },
    message: {},
    reply: readRule,
    command: () => `ip${family === "inet6" ? " -6" : ""} rule list`,
  };
}
