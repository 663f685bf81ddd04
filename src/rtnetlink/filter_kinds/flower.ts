/**
 * The classifier flower: compares fields of a packet (tc-flower(8), `linux/pkt_cls.h`).
 *
 * @module
 */
import { text } from "../../netlink/attribute.ts";
import { type Fields, schema } from "../../netlink/schema.ts";
import { checkOptions, type OptionNames, show } from "../../options.ts";
import type { FilterKind, FilterPacket, TcWord } from "../qdisc_kinds/kind.ts";
import { ETHERTYPES, type Handle } from "../traffic_control.ts";
import { actionsField, actionWords } from "./actions.ts";
import { classidField, type FilterActions, type FilterActionsInfo } from "./classifiers.ts";
import { type FlowerMatch, type Form, FORMS, type PortRange } from "./flower_forms.ts";
import { mplsField, mplsWords, TUNNEL_KINDS, tunnelField } from "./flower_nests.ts";

/** Attribute numbers. */
export const TCA_FLOWER = {
  CLASSID: 1,
  INDEV: 2,
  ACT: 3,
  KEY_ETH_DST: 4,
  KEY_ETH_DST_MASK: 5,
  KEY_ETH_SRC: 6,
  KEY_ETH_SRC_MASK: 7,
  KEY_ETH_TYPE: 8,
  KEY_IP_PROTO: 9,
  KEY_IPV4_SRC: 10,
  KEY_IPV4_SRC_MASK: 11,
  KEY_IPV4_DST: 12,
  KEY_IPV4_DST_MASK: 13,
  KEY_IPV6_SRC: 14,
  KEY_IPV6_SRC_MASK: 15,
  KEY_IPV6_DST: 16,
  KEY_IPV6_DST_MASK: 17,
  KEY_TCP_SRC: 18,
  KEY_TCP_DST: 19,
  KEY_UDP_SRC: 20,
  KEY_UDP_DST: 21,
  FLAGS: 22,
  KEY_VLAN_ID: 23,
  KEY_VLAN_PRIO: 24,
  KEY_VLAN_ETH_TYPE: 25,
  KEY_ENC_KEY_ID: 26,
  KEY_ENC_IPV4_SRC: 27,
  KEY_ENC_IPV4_SRC_MASK: 28,
  KEY_ENC_IPV4_DST: 29,
  KEY_ENC_IPV4_DST_MASK: 30,
  KEY_ENC_IPV6_SRC: 31,
  KEY_ENC_IPV6_SRC_MASK: 32,
  KEY_ENC_IPV6_DST: 33,
  KEY_ENC_IPV6_DST_MASK: 34,
  KEY_TCP_SRC_MASK: 35,
  KEY_TCP_DST_MASK: 36,
  KEY_UDP_SRC_MASK: 37,
  KEY_UDP_DST_MASK: 38,
  KEY_SCTP_SRC_MASK: 39,
  KEY_SCTP_DST_MASK: 40,
  KEY_SCTP_SRC: 41,
  KEY_SCTP_DST: 42,
  KEY_ENC_UDP_DST_PORT: 45,
  KEY_ENC_UDP_DST_PORT_MASK: 46,
  KEY_FLAGS: 47,
  KEY_FLAGS_MASK: 48,
  KEY_ICMPV4_CODE: 49,
  KEY_ICMPV4_CODE_MASK: 50,
  KEY_ICMPV4_TYPE: 51,
  KEY_ICMPV4_TYPE_MASK: 52,
  KEY_ICMPV6_CODE: 53,
  KEY_ICMPV6_CODE_MASK: 54,
  KEY_ICMPV6_TYPE: 55,
  KEY_ICMPV6_TYPE_MASK: 56,
  KEY_ARP_SIP: 57,
  KEY_ARP_SIP_MASK: 58,
  KEY_ARP_TIP: 59,
  KEY_ARP_TIP_MASK: 60,
  KEY_ARP_OP: 61,
  KEY_ARP_OP_MASK: 62,
  KEY_ARP_SHA: 63,
  KEY_ARP_SHA_MASK: 64,
  KEY_ARP_THA: 65,
  KEY_ARP_THA_MASK: 66,
  KEY_MPLS_TTL: 67,
  KEY_MPLS_BOS: 68,
  KEY_MPLS_TC: 69,
  KEY_MPLS_LABEL: 70,
  KEY_TCP_FLAGS: 71,
  KEY_TCP_FLAGS_MASK: 72,
  KEY_IP_TOS: 73,
  KEY_IP_TOS_MASK: 74,
  KEY_IP_TTL: 75,
  KEY_IP_TTL_MASK: 76,
  KEY_CVLAN_ID: 77,
  KEY_CVLAN_PRIO: 78,
  KEY_CVLAN_ETH_TYPE: 79,
  KEY_ENC_IP_TOS: 80,
  KEY_ENC_IP_TOS_MASK: 81,
  KEY_ENC_IP_TTL: 82,
  KEY_ENC_IP_TTL_MASK: 83,
  KEY_ENC_OPTS: 84,
  KEY_ENC_OPTS_MASK: 85,
  IN_HW_COUNT: 86,
  KEY_PORT_SRC_MIN: 87,
  KEY_PORT_SRC_MAX: 88,
  KEY_PORT_DST_MIN: 89,
  KEY_PORT_DST_MAX: 90,
  KEY_CT_STATE: 91,
  KEY_CT_STATE_MASK: 92,
  KEY_CT_ZONE: 93,
  KEY_CT_ZONE_MASK: 94,
  KEY_CT_MARK: 95,
  KEY_CT_MARK_MASK: 96,
  KEY_CT_LABELS: 97,
  KEY_CT_LABELS_MASK: 98,
  KEY_MPLS_OPTS: 99,
  KEY_NUM_OF_VLANS: 102,
  KEY_PPPOE_SID: 103,
  KEY_PPP_PROTO: 104,
} as const;

/** Options of a flower filter. */
export interface FlowerOptions extends FlowerMatch, FilterActions {}

/** A flower filter as the kernel reports it. */
export interface FlowerInfo extends FlowerMatch, FilterActionsInfo {}

/** Attributes by their names in {@link TCA_FLOWER}. */
type FlowerData = Record<string, unknown>;

/** A condition of a field on the rest of the filter. */
type Need = "vlan" | "cvlan" | "pppoe" | "ip" | "arp" | "mpls" | "ports" | "tcp" | "icmp";

/** A field of a packet. */
interface Key {
  readonly form: Form;
  /** The attribute, or one for each protocol. */
  readonly at: string | Readonly<Record<string, string>>;
  readonly masked?: boolean;
  /** The attributes of a range, but for `_MIN` and `_MAX`. */
  readonly range?: string;
  readonly needs?: Need;
  /** The word of `tc`. */
  readonly word: string;
}

const key = (
  word: string,
  form: Form,
  at: Key["at"],
  rest: { needs?: Need; masked?: boolean; range?: string } = {},
): Key => ({ word, form, at, ...rest });

const masked = { masked: true } as const;
const port = (way: "SRC" | "DST"): Key =>
  key(`${way.toLowerCase()}_port`, FORMS.port, {
    tcp: `KEY_TCP_${way}`,
    udp: `KEY_UDP_${way}`,
    sctp: `KEY_SCTP_${way}`,
  }, { needs: "ports", masked: true, range: `KEY_PORT_${way}` });
const icmp = (what: "TYPE" | "CODE"): Key =>
  key(what.toLowerCase(), FORMS.u8, {
    icmp: `KEY_ICMPV4_${what}`,
    icmpv6: `KEY_ICMPV6_${what}`,
  }, { needs: "icmp", masked: true });
const address = (word: string, at: string, needs?: Need): Key =>
  key(word, FORMS.ip, {
    ip: at.replace("IP", "IPV4"),
    ipv6: at.replace("IP", "IPV6"),
  }, { masked: true, ...(needs && { needs }) });

/** The fields, in the order in which `tc` wants to read them. */
const KEYS: Readonly<Record<string, Key>> = {
  numOfVlans: key("num_of_vlans", FORMS.u8, "KEY_NUM_OF_VLANS"),
  vlanId: key("vlan_id", FORMS.vlan, "KEY_VLAN_ID", { needs: "vlan" }),
  vlanPrio: key("vlan_prio", FORMS.bits3, "KEY_VLAN_PRIO", { needs: "vlan" }),
  vlanEthtype: key("vlan_ethtype", FORMS.ethertype, "KEY_VLAN_ETH_TYPE", { needs: "vlan" }),
  cvlanId: key("cvlan_id", FORMS.vlan, "KEY_CVLAN_ID", { needs: "cvlan" }),
  cvlanPrio: key("cvlan_prio", FORMS.bits3, "KEY_CVLAN_PRIO", { needs: "cvlan" }),
  cvlanEthtype: key("cvlan_ethtype", FORMS.ethertype, "KEY_CVLAN_ETH_TYPE", { needs: "cvlan" }),
  pppoeSid: key("pppoe_sid", FORMS.be16, "KEY_PPPOE_SID", { needs: "pppoe" }),
  pppProto: key("ppp_proto", FORMS.ppp, "KEY_PPP_PROTO", { needs: "pppoe" }),
  ipProto: key("ip_proto", FORMS.ipProto, "KEY_IP_PROTO", { needs: "ip" }),
  dstMac: key("dst_mac", FORMS.mac, "KEY_ETH_DST", masked),
  srcMac: key("src_mac", FORMS.mac, "KEY_ETH_SRC", masked),
  srcIp: address("src_ip", "KEY_IP_SRC", "ip"),
  dstIp: address("dst_ip", "KEY_IP_DST", "ip"),
  srcPort: port("SRC"),
  dstPort: port("DST"),
  tcpFlags: key("tcp_flags", FORMS.tcpFlags, "KEY_TCP_FLAGS", { needs: "tcp", masked: true }),
  ipTos: key("ip_tos", FORMS.hex8, "KEY_IP_TOS", { needs: "ip", masked: true }),
  ipTtl: key("ip_ttl", FORMS.u8, "KEY_IP_TTL", { needs: "ip", masked: true }),
  ipFlags: key("ip_flags", FORMS.ipFlags, "KEY_FLAGS", { needs: "ip", masked: true }),
  icmpType: icmp("TYPE"),
  icmpCode: icmp("CODE"),
  arpSip: key("arp_sip", FORMS.ip, "KEY_ARP_SIP", { needs: "arp", masked: true }),
  arpTip: key("arp_tip", FORMS.ip, "KEY_ARP_TIP", { needs: "arp", masked: true }),
  arpOp: key("arp_op", FORMS.arpOp, "KEY_ARP_OP", { needs: "arp", masked: true }),
  arpSha: key("arp_sha", FORMS.mac, "KEY_ARP_SHA", { needs: "arp", masked: true }),
  arpTha: key("arp_tha", FORMS.mac, "KEY_ARP_THA", { needs: "arp", masked: true }),
  mplsLabel: key("mpls_label", FORMS.label, "KEY_MPLS_LABEL", { needs: "mpls" }),
  mplsTc: key("mpls_tc", FORMS.bits3, "KEY_MPLS_TC", { needs: "mpls" }),
  mplsBos: key("mpls_bos", FORMS.bit, "KEY_MPLS_BOS", { needs: "mpls" }),
  mplsTtl: key("mpls_ttl", FORMS.u8, "KEY_MPLS_TTL", { needs: "mpls" }),
  encKeyId: key("enc_key_id", FORMS.be32, "KEY_ENC_KEY_ID"),
  encSrcIp: address("enc_src_ip", "KEY_ENC_IP_SRC"),
  encDstIp: address("enc_dst_ip", "KEY_ENC_IP_DST"),
  encDstPort: key("enc_dst_port", FORMS.be16, "KEY_ENC_UDP_DST_PORT", masked),
  encTos: key("enc_tos", FORMS.hex8, "KEY_ENC_IP_TOS", masked),
  encTtl: key("enc_ttl", FORMS.u8, "KEY_ENC_IP_TTL", masked),
  ctState: key("ct_state", FORMS.ctState, "KEY_CT_STATE", masked),
  ctZone: key("ct_zone", FORMS.u16, "KEY_CT_ZONE", masked),
  ctMark: key("ct_mark", FORMS.u32, "KEY_CT_MARK", masked),
  ctLabel: key("ct_label", FORMS.labels, "KEY_CT_LABELS", masked),
};

const typeOf = (name: string): number => TCA_FLOWER[name as keyof typeof TCA_FLOWER];

/** All attributes of the fields. */
function fields(): Fields<FlowerData> {
  const all: Record<string, unknown> = {
    classid: classidField(TCA_FLOWER.CLASSID),
    indev: text(TCA_FLOWER.INDEV, 15),
    actions: actionsField(TCA_FLOWER.ACT),
    KEY_ETH_TYPE: FORMS.ethertype.field(TCA_FLOWER.KEY_ETH_TYPE),
    mpls: mplsField(TCA_FLOWER.KEY_MPLS_OPTS),
    KEY_ENC_OPTS: tunnelField(TCA_FLOWER.KEY_ENC_OPTS),
    KEY_ENC_OPTS_MASK: tunnelField(TCA_FLOWER.KEY_ENC_OPTS_MASK),
  };
  for (const { form, at, masked, range } of Object.values(KEYS)) {
    const names = typeof at === "string" ? [at] : Object.values(at);
    if (masked) names.push(...names.map((name) => `${name}_MASK`));
    if (range) names.push(`${range}_MIN`, `${range}_MAX`);
    for (const name of names) all[name] = form.field(typeOf(name));
  }
  return all as Fields<FlowerData>;
}

/** The protocols in a packet, as far as the filter names them. */
interface Inside {
  /** The protocols one behind the other: that of the filter, those behind VLAN tags. */
  readonly types: readonly (number | undefined)[];
  readonly ipProto: number | undefined;
}

const isVlan = (type: number | undefined) => type === ETHERTYPES["802.1Q"] || type === 0x88a8;
const isIp = (type: number | undefined) => type === ETHERTYPES.ip || type === ETHERTYPES.ipv6;

function insideOf(options: FlowerMatch, protocol: number): Inside {
  const number = (name: "vlanEthtype" | "cvlanEthtype" | "pppProto" | "ipProto") => {
    const value = options[name];
    return value === undefined ? undefined : KEYS[name]!.form.parse(value, `options.${name}`)[0];
  };
  const types: (number | undefined)[] = [protocol];
  if (isVlan(protocol)) types.push(number("vlanEthtype") as number);
  if (types.length > 1 && isVlan(types.at(-1))) types.push(number("cvlanEthtype") as number);
  if (types.at(-1) === ETHERTYPES.ppp_ses) {
    const inner = number("pppProto");
    types.push(inner === 0x21 ? ETHERTYPES.ip : inner === 0x57 ? ETHERTYPES.ipv6 : undefined);
  }
  return { types, ipProto: number("ipProto") as number | undefined };
}

const NEEDS: Readonly<Record<Need, readonly [text: string, holds: (inside: Inside) => boolean]>> = {
  vlan: ['the protocol "802.1Q" or "802.1ad"', ({ types }) => isVlan(types[0])],
  cvlan: ['vlanEthtype "802.1Q" or "802.1ad"', ({ types }) => isVlan(types[0]) && isVlan(types[1])],
  pppoe: ['the protocol "ppp_ses"', ({ types }) => types.includes(ETHERTYPES.ppp_ses)],
  ip: ['the protocol "ip" or "ipv6"', ({ types }) => isIp(types.at(-1))],
  arp: ['the protocol "arp"', ({ types }) => [ETHERTYPES.arp, 0x8035].includes(types.at(-1)!)],
  mpls: ['the protocol "mpls_uc"', ({ types }) => [0x8847, 0x8848].includes(types.at(-1)!)],
  ports: ['ipProto "tcp", "udp" or "sctp"', ({ ipProto }) => [6, 17, 132].includes(ipProto!)],
  tcp: ['ipProto "tcp"', ({ ipProto }) => ipProto === 6],
  icmp: ['ipProto "icmp" or "icmpv6"', ({ ipProto }) => [1, 58].includes(ipProto!)],
};

const VARIANTS: Readonly<Record<number, string>> = {
  1: "icmp",
  6: "tcp",
  17: "udp",
  58: "icmpv6",
  132: "sctp",
};

/** The attribute of a value: addresses have one for IPv4 and one for IPv6. */
function attributeOf({ at }: Key, value: unknown, path: string, inside: Inside): string {
  if (typeof at === "string") {
    if (value instanceof Uint8Array && value.length === 16 && at.startsWith("KEY_ARP")) {
      throw new TypeError(`${path} must be an IPv4 address`);
    }
    return at;
  }
  if (!(value instanceof Uint8Array)) return at[VARIANTS[inside.ipProto!]!]!;
  const version = value.length === 4 ? "ip" : "ipv6";
  const outer = path.includes(".enc");
  if (outer || inside.types.at(-1) === ETHERTYPES[version]) return at[version]!;
  throw new TypeError(
    `${path} is an address of the protocol ${show(version)}, the filter's is other`,
  );
}

function encode(options: FlowerOptions, { protocol }: FilterPacket): FlowerData {
  const data: FlowerData = {};
  const inside = insideOf(options, protocol);
  if (protocol !== ETHERTYPES.all) data.KEY_ETH_TYPE = protocol;
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const path = `options.${name}`;
    const known = KEYS[name];
    const needs = known?.needs ?? (name === "mpls" ? "mpls" : undefined);
    if (needs && !NEEDS[needs][1](inside)) throw new TypeError(`${path} needs ${NEEDS[needs][0]}`);
    if (known) putKey(data, known, { value, path, inside });
    else if (Object.hasOwn(TUNNEL_KINDS, name)) {
      if (data.KEY_ENC_OPTS) throw new TypeError("options must have options of one kind of tunnel");
      const parsed = TUNNEL_KINDS[name]!.parse(value, path);
      [data.KEY_ENC_OPTS, data.KEY_ENC_OPTS_MASK] = parsed;
    } else data[name] = value;
  }
  return data;
}

function putKey(
  data: FlowerData,
  key: Key,
  { value, path, inside }: { value: unknown; path: string; inside: Inside },
): void {
  const { form, range } = key;
  if (range && typeof value === "object" && value !== null && "min" in value) {
    checkOptions(value, { min: true, max: true }, path);
    const { min, max } = value as PortRange;
    [data[`${range}_MIN`]] = form.parse(min, `${path}.min`);
    [data[`${range}_MAX`]] = form.parse(max, `${path}.max`);
    if (max > min) return;
    throw new RangeError(`${path}.max must be above min: got ${max}`);
  }
  const [wire, mask] = form.parse(value, path);
  const at = attributeOf(key, wire, path, inside);
  data[at] = wire;
  if (key.masked) data[`${at}_MASK`] = mask;
  else if (typeof value === "object") {
    throw new TypeError(`${path} has no mask: got ${show(value)}`);
  }
}

function decode(data: FlowerData): FlowerInfo {
  const info: Record<string, unknown> = {};
  for (const name of ["classid", "indev"]) if (data[name] !== undefined) info[name] = data[name];
  for (const [name, { form, at, masked, range }] of Object.entries(KEYS)) {
    for (const attribute of typeof at === "string" ? [at] : Object.values(at)) {
      const mask = masked ? data[`${attribute}_MASK`] : undefined;
      if (data[attribute] !== undefined) info[name] = form.format(data[attribute], mask);
    }
    const [min, max] = [data[`${range}_MIN`], data[`${range}_MAX`]];
    if (range && min !== undefined) info[name] = { min, max };
  }
  if (data.mpls !== undefined) info.mpls = data.mpls;
  for (const [name, { format }] of Object.entries(TUNNEL_KINDS)) {
    const text = format(data.KEY_ENC_OPTS, data.KEY_ENC_OPTS_MASK);
    if (text !== undefined) info[name] = text;
  }
  if (data.actions !== undefined) info.actions = data.actions;
  return info as FlowerInfo;
}

const NAMES = Object.fromEntries(
  ["classid", "actions", "indev", ...Object.keys(KEYS), "mpls", ...Object.keys(TUNNEL_KINDS)]
    .map((name) => [name, true]),
) as unknown as OptionNames<FlowerOptions>;

const WORDS: Readonly<Record<string, TcWord>> = Object.fromEntries([
  ...Object.entries(KEYS).map(([name, { word, form, range }]) => [name, (value: unknown) => {
    const { min, max } = (range ? value : {}) as Partial<PortRange>;
    return `${word} ${min === undefined ? form.word(value) : `${min}-${max}`}`;
  }]),
  ...Object.entries(TUNNEL_KINDS).map((
    [name, { word }],
  ) => [name, (value: Handle) => `${word} ${value}`]),
  ["mpls", mplsWords],
  ["actions", actionWords],
]);

/** flower: compares fields of a packet. */
export const flower: FilterKind<FlowerOptions, FlowerInfo, FlowerData> = {
  config: "NET_CLS_FLOWER",
  data: schema<FlowerData>("TCA_FLOWER_", TCA_FLOWER, fields(), [
    TCA_FLOWER.FLAGS,
    TCA_FLOWER.IN_HW_COUNT,
  ]),
  options: NAMES,
  encode,
  decode,
  commandOrder: [
    "indev",
    ...Object.keys(KEYS),
    "mpls",
    ...Object.keys(TUNNEL_KINDS),
    "classid",
    "actions",
  ],
  words: WORDS,
};
