/**
 * The table of the format: each key of a topology and its rule.
 *
 * @module
 */
import type { Filter, FilterPort } from "../capture/filter.ts";
import { parseMac, parsePrefix, tryParseIp } from "../packet/address.ts";
import { checkLinkName } from "../rtnetlink/fields.ts";
import {
  parseRate,
  parseShare,
  parseTime,
  type Rate,
  type Share,
  type Time,
} from "../rtnetlink/units.ts";
import { show } from "../options.ts";
import type { ExistingNetns, OptionValue } from "./resolved.ts";
import {
  any,
  choice,
  either,
  type Fields,
  flag,
  integer,
  later,
  list,
  nothing,
  number,
  object,
  pair,
  record,
  type Rule,
  template,
  text,
  type TextRule,
  withForeignWords,
  withOne,
  words,
} from "./rules.ts";
import type {
  AddressingSpec,
  AttachmentSpec,
  DirectedImpairSpec,
  EndpointName,
  EndpointObject,
  EndpointSpec,
  EventSpec,
  FileSpec,
  ImpairSpec,
  InterfaceSpec,
  LinkSpec,
  LinkText,
  NodeSpec,
  PortSpec,
  ReadySpec,
  RouteSpec,
  RuleSpec,
  RunSpec,
  SegmentSpec,
  TopologySpec,
  WireOptions,
  WireSpec,
} from "./spec.ts";

/** A node name, perhaps with ranges. */
const NODE = String.raw`[A-Za-z0-9](?:[\w.-]|\[\d[\d,-]*\])*`;
const INTERFACE = String.raw`[^\s/:%]{1,15}`;
const END = `${NODE}(?::${INTERFACE})?`;

const nodeName: Rule<string> = text('a node name such as "h1", or a range such as "h[1-4]"', {
  pattern: new RegExp(`^${NODE}$`),
});
const endpointName: Rule<EndpointName> = template(
  'an endpoint such as "h1" or "h1:eth0"',
  new RegExp(`^${END}$`),
);
const linkText: Rule<LinkText> = template(
  'a link such as "h1 -- h2" or "h1:eth0 -- h2:eth0"',
  new RegExp(String.raw`^\s*${END}\s+--\s+${END}\s*$`),
);
const linkName: Rule<string> = text("a link name of 1 to 15 bytes", {
  pattern: new RegExp(`^${INTERFACE}$`),
  parse: checkLinkName,
});
const parent: Rule<string> = text('an interface such as "eth0" or "h1:eth0"', {
  pattern: new RegExp(`^(?:${NODE}:)?${INTERFACE}$`),
});
const mac: Rule<string> = text('a MAC address such as "02:00:00:00:00:01"', {
  pattern: /^[0-9A-Fa-f]{1,2}([:-][0-9A-Fa-f]{1,2}){5}$/,
  parse: unicast,
});
const address: Rule<string> = text('an IP address such as "10.0.0.1" or "fd00::1"', {
  pattern: /^[0-9A-Fa-f.:]+$/,
  parse: ipAddress,
});
const prefix: Rule<string> = text('an address with a prefix length such as "10.0.0.1/24"', {
  pattern: /^[0-9A-Fa-f.:]+\/\d{1,3}$/,
  parse: ipPrefix,
});
const subnet: Rule<string> = text('an address or a prefix such as "10.0.0.0/8"', {
  pattern: /^[0-9A-Fa-f.:]+(\/\d{1,3})?$/,
  parse: ipPrefix,
});
const destination: Rule<string> = text('"default", an address or a prefix such as "10.0.0.0/8"', {
  pattern: /^(default|[0-9A-Fa-f.:]+(\/\d{1,3})?)$/,
  parse: (value, path) => value === "default" || ipPrefix(value, path),
});
const absolute: Rule<string> = text('an absolute path such as "/etc/motd"', { pattern: /^\/./ });

const DIGITS = String.raw`^\s*\+?(\d+\.?\d*|\.\d+)\s*`;
const amount = (what: string, units: string, parse: (text: string, path: string) => number) =>
  either(
    text(what, { pattern: new RegExp(`${DIGITS}(${units})?\\s*$`), parse }),
    number(what, 0, Infinity),
  );
const time: Rule<Time> = amount(
  'a time such as "20ms" or milliseconds',
  "[smunSMUN]|[munMUN]?[sS]|[munMUN]?[sS][eE][cC][sS]?",
  parseTime,
);
const rate: Rule<Rate> = amount(
  'a rate such as "10mbit" or bits per second',
  "([kmgtKMGT][iI]?)?([bB][iI][tT]|[bB][pP][sS])",
  parseRate,
);
const share: Rule<Share> = either(
  text('a share such as "1%"', { pattern: new RegExp(`${DIGITS}(%)?\\s*$`), parse: parseShare }),
  number("a share such as 0.01", 0, 1),
);

const count = integer(1, 2 ** 32 - 1);
const unsigned = integer(0, 2 ** 32 - 1);
const mtu = integer(68, 65_535);
const vid = integer(1, 4094);
const port = integer(1, 65_535);
const vlans: Rule<readonly (number | string)[]> = list(
  either(vid, text('a range of VLANs such as "10-20"', { pattern: /^\d{1,4}(-\d{1,4})?$/ })),
  1,
);
const line: Rule<string> = text("a command line", { pattern: /\S/ });
const command: Rule<string | readonly string[]> = either(line, list(text(), 1));

const existing: Rule<ExistingNetns> = choice<ExistingNetns>("ExistingNetns", {
  pid: integer(1, 2 ** 22),
  path: absolute,
  name: text("the name of a namespace", { pattern: /^[^/\s]+$/ }),
});

const filterPort: Rule<FilterPort> = either(integer(0, 65_535), pair(integer(0, 65_535)));
const filter: Rule<Filter> = object<Filter>("Filter", {
  protocol: words("arp", "ip", "ip6", "icmp", "icmp6", "tcp", "udp", "sctp"),
  ipProtocol: integer(0, 255),
  etherType: integer(0, 65_535),
  vlan: either(integer(0, 4094), flag),
  innerVlan: either(integer(0, 4094), flag),
  host: address,
  srcHost: address,
  dstHost: address,
  net: subnet,
  srcNet: subnet,
  dstNet: subnet,
  port: filterPort,
  srcPort: filterPort,
  dstPort: filterPort,
  mac,
  srcMac: mac,
  dstMac: mac,
  and: later(() => filters),
  or: later(() => filters),
  not: later(() => filter),
});
const filters: Rule<readonly Filter[]> = list(filter, 1);

const impairment: Rule<ImpairSpec> = object<ImpairSpec>("ImpairSpec", {
  delay: time,
  jitter: time,
  distribution: words("uniform", "normal", "pareto", "paretonormal"),
  loss: share,
  duplicate: share,
  corrupt: share,
  reorder: share,
  rate,
  limit: count,
  seed: unsigned,
  match: filter,
});
const directed: Rule<DirectedImpairSpec> = object<DirectedImpairSpec>("DirectedImpairSpec", {
  "->": impairment,
  "<-": impairment,
});
const impair: Rule<ImpairSpec | DirectedImpairSpec> = either(impairment, directed);

const ports: Fields<PortSpec> = {
  addresses: list(prefix),
  ipv4: prefix,
  ipv6: prefix,
  mac,
  mtu,
  up: flag,
  dad: flag,
  access: vid,
  trunk: vlans,
  native: vid,
};
const option: Rule<OptionValue> = either(
  text(),
  number("a number", -Infinity, Infinity),
  flag,
  list(text()),
);
const interfaceSpec: Rule<InterfaceSpec> = object<InterfaceSpec>("InterfaceSpec", {
  ...ports,
  kind: words(
    "bridge",
    "dummy",
    "ifb",
    "vlan",
    "macvlan",
    "macvtap",
    "ipvlan",
    "ipvtap",
    "vxlan",
    "physical",
  ),
  parent,
  master: linkName,
  from: linkName,
  options: record(option),
});

const route: Rule<RouteSpec> = object<RouteSpec>("RouteSpec", {
  destination,
  gateway: address,
  dev: linkName,
  type: words("unicast", "blackhole", "unreachable", "prohibit", "throw"),
  metric: unsigned,
  table: count,
  prefsrc: address,
}, "destination");
const policy: Rule<RuleSpec> = object<RuleSpec>("RuleSpec", {
  priority: unsigned,
  family: words("inet", "inet6"),
  from: subnet,
  to: subnet,
  iif: linkName,
  oif: linkName,
  fwmark: unsigned,
  table: count,
  action: words("blackhole", "unreachable", "prohibit"),
}, "priority");
const ready: Rule<ReadySpec> = choice<ReadySpec>("ReadySpec", {
  tcp: either(
    port,
    text('a port, or an address with one such as "127.0.0.1:80"', {
      pattern: /^([0-9.]+|\[[0-9A-Fa-f.:]+\]):\d{1,5}$/,
      parse: socketAddress,
    }),
  ),
  command,
  log: text("text of a line of the output", { pattern: /./ }),
});
const run: Rule<RunSpec> = object<RunSpec>("RunSpec", { command, ready, timeout: time }, "command");
const file: Rule<FileSpec> = withOne(
  object<FileSpec>("FileSpec", {
    content: text(),
    source: text("a path", { pattern: /./ }),
    mode: text('permissions in octal such as "644"', { pattern: /^[0-7]{3,4}$/ }),
  }),
  "content",
  "source",
);

/** Options of containerlab that netloom lacks: known, so that an error can say so, see `without`. */
export const CONTAINERLAB_ONLY: Readonly<Record<"top" | "node" | "link", readonly string[]>> = {
  // deno-fmt-ignore
  top: ["prefix", "mgmt", "debug"],
  // deno-fmt-ignore
  node: [
    "aliases", "auto-remove", "binds", "cap-add", "certificate", "cmd", "components", "config", "cpu",
    "cpu-set", "devices", "dns", "enforce-startup-config", "entrypoint", "env-files", "extras",
    "healthcheck", "image", "image-pull-policy", "labels", "license", "memory", "mgmt-ipv4", "mgmt-ipv6",
    "network-mode", "ports", "position", "publish", "restart-policy", "runtime", "sandbox", "shm-size",
    "stages", "startup-config", "startup-delay", "suppress-startup-config", "type", "user",
  ],
  link: ["labels", "vars"],
};

/** Adds options of containerlab to an object, with any value. */
function withForeign<T>(rule: Rule<T>, names: readonly string[]): Rule<T> {
  if (rule.is !== "object") return rule;
  const foreign = Object.fromEntries(names.map((name) => [name, any]));
  return { ...rule, fields: { ...rule.fields, ...foreign } };
}

const node: Rule<NodeSpec> = withForeign(
  object<NodeSpec>("NodeSpec", {
    kind: withForeignWords(words("host", "router", "switch", "nat", "host-machine", "linux"), {
      bridge: 'use kind "switch", whose bridge is in a namespace of its own',
      "ovs-bridge": 'use kind "switch", whose bridge is in a namespace of its own',
    }),
    group: text("the name of a group", { pattern: /./ }),
    tier: integer(1, 1000),
    netns: existing,
    outside: existing,
    mtu,
    stp: flag,
    loopback: flag,
    interfaces: record(interfaceSpec, linkName),
    routes: list(route),
    rules: list(policy),
    sysctls: record(
      either(text(), number("a number", -Infinity, Infinity)),
      text('the name of a setting such as "net.ipv4.tcp_ecn"', { pattern: /^net[./]\S+$/ }),
    ),
    nftables: text(),
    exec: list(line),
    run: list(either(line, run)),
    env: record(
      either(text(), number("a number", -Infinity, Infinity), flag),
      text("a name without =", { pattern: /^[^=\s]+$/ }),
    ),
    files: record(either(text(), file), absolute),
    hosts: record(address, text("a host name", { pattern: /^[\w.-]+$/ })),
  }),
  CONTAINERLAB_ONLY.node,
);

const endpointObject: Rule<EndpointObject> = object<EndpointObject>("EndpointObject", {
  node: nodeName,
  interface: linkName,
  ...ports,
}, "node");
const endpoint: Rule<EndpointSpec> = either(endpointName, endpointObject);

const wireOptions: Fields<WireOptions> = {
  mtu,
  subnets: list(prefix, 1),
  impair,
  access: vid,
  trunk: vlans,
};
/** The types of containerlab's links that netloom lacks. */
const LINK_TYPES = {
  "mgmt-net":
    "netloom has no management network: use a segment, or a node of kind nat for the outside",
  "vxlan-stitch": "use type vxlan, whose end is an interface of the node itself",
};

const wire: Rule<WireSpec> = withForeign(
  object<WireSpec>("WireSpec", {
    endpoints: pair(endpoint),
    type: withForeignWords(words("veth"), LINK_TYPES),
    ...wireOptions,
  }, "endpoints"),
  CONTAINERLAB_ONLY.link,
);
const segment: Rule<SegmentSpec> = object<SegmentSpec>("SegmentSpec", {
  segment: list(endpoint, 1),
  name: text("the name of a segment", { pattern: /^[A-Za-z0-9][\w.-]*$/ }),
  stp: flag,
  ...wireOptions,
}, "segment");
const attachment: Rule<AttachmentSpec> = withForeign(
  object<AttachmentSpec>(
    "AttachmentSpec",
    {
      type: withForeignWords(words("host", "macvlan", "dummy", "vxlan"), LINK_TYPES),
      endpoint,
      "host-interface": linkName,
      "parent-interface": linkName,
      remote: address,
      vni: integer(0, 16777215),
      "udp-port": integer(1, 65535),
      mode: words("bridge", "vepa", "private", "passthru"),
      mtu,
    },
    "type",
    "endpoint",
  ),
  CONTAINERLAB_ONLY.link,
);
const link: Rule<LinkSpec> = either(linkText, wire, segment, attachment);

const links: Rule<LinkText | readonly LinkText[]> = either(linkText, list(linkText, 1));
const nodes: Rule<string | readonly string[]> = either(nodeName, list(nodeName, 1));
const event: Rule<EventSpec> = withOne(
  object<EventSpec>("EventSpec", {
    at: time,
    for: time,
    cut: links,
    heal: links,
    hold: links,
    release: links,
    flap: links,
    every: time,
    impair: either(impairment, directed, nothing),
    link: links,
    partition: list(list(nodeName, 1), 1),
    isolate: nodes,
    pause: nodes,
    kill: nodes,
  }, "at"),
  "cut",
  "heal",
  "hold",
  "release",
  "flap",
  "impair",
  "partition",
  "isolate",
  "pause",
  "kill",
);

const pool: Rule<AddressingSpec> = object<AddressingSpec>("AddressingSpec", {
  ipv4: poolPrefix("10.0.0.0/16"),
  ipv6: poolPrefix("fd00::/48"),
});

function poolPrefix(example: string): Rule<string> {
  const { pattern, parse } = prefix as Required<Pick<TextRule, "pattern" | "parse">>;
  return text(`a pool such as "${example}"`, { pattern, parse });
}

const { name, without, ...inner }: Fields<TopologySpec> = {
  name: text('a name such as "two-tier"', { pattern: /^[A-Za-z0-9][\w.-]{0,63}$/ }),
  addressing: either(pool, words("none")),
  routing: words("static", "none"),
  ecmp: flag,
  seed: unsigned,
  defaults: node,
  kinds: record(node),
  groups: record(node),
  nodes: record(either(node, nothing), nodeName),
  links: list(link),
  schedule: list(event),
  without: list(text()),
};

/** A topology. */
export const topologyRule: Rule<TopologySpec> = withForeign(
  object<TopologySpec>("TopologySpec", { name, ...inner, without }, "nodes"),
  CONTAINERLAB_ONLY.top,
);

/** A containerlab file: `topology` has what a file of netloom has at its top. */
interface ContainerlabFile extends Pick<TopologySpec, "name" | "without"> {
  readonly topology: Omit<TopologySpec, "name" | "without">;
}

/** A containerlab file. */
export const containerlabRule: Rule<ContainerlabFile> = withForeign(
  object<ContainerlabFile>("ContainerlabFile", {
    name,
    without,
    topology: object<Omit<TopologySpec, "name" | "without">>(
      "ContainerlabTopology",
      inner,
      "nodes",
    ),
  }, "topology"),
  CONTAINERLAB_ONLY.top,
);

function ipAddress(value: string, path: string): void {
  if (tryParseIp(value) !== undefined) return;
  throw new TypeError(`${path} must be an IP address such as "10.0.0.1": got ${show(value)}`);
}

function ipPrefix(value: string, path: string): void {
  try {
    parsePrefix(value);
  } catch {
    throw new TypeError(
      `${path} must be an IP address or prefix such as "10.0.0.1/24": got ${show(value)}`,
    );
  }
}

function unicast(value: string, path: string): void {
  const bytes = parseMac(value);
  if (!(bytes[0]! & 1) && bytes.some((byte) => byte !== 0)) return;
  throw new RangeError(`${path} must be a unicast MAC address: got ${show(value)}`);
}

function socketAddress(value: string, path: string): void {
  const [, address = "", port] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(value) ?? [];
  ipAddress(address, path);
  if (Number(port) >= 1 && Number(port) <= 65_535) return;
  throw new RangeError(`${path} must have a port in 1..65535: got ${show(value)}`);
}
