// Good and bad files for the checker and the JSON Schema.

/** A file that both refuse, or only the checker where it is about the meaning. */
export interface BadFile {
  readonly text: string;
  /** A part of the first message. */
  readonly says: string;
  readonly schemaRefuses: boolean;
}

const node = (option: string) => `nodes:\n  h1: { ${option} }\n`;
const two = "nodes: { h1: , h2: , sw: { kind: switch } }\n";
const link = (text: string) => `${two}links:\n  - ${text}\n`;
const wire = (options: string) => link(`{ endpoints: [h1, h2], ${options} }`);
const attach = (options: string) => link(`{ endpoint: "h1:eth0", ${options} }`);
const port = (options: string) => node(`interfaces: { eth0: { ${options} } }`);
const impair = (options: string) => wire(`impair: { ${options} }`);
const event = (options: string) => `${two}links: [h1 -- h2]\nschedule:\n  - { ${options} }\n`;

const GOOD_NODES = [
  "",
  "kind: host",
  "kind: router",
  "kind: switch",
  "kind: nat",
  "kind: host-machine",
  "kind: linux",
  "tier: 1",
  "mtu: 9000",
  "loopback: true",
  "netns: { pid: 1 }",
  "netns: { name: blue }",
  "netns: { path: /run/netns/blue }",
  "kind: switch, stp: true",
  "kind: nat, outside: { name: blue }",
  "routes: [{ destination: default, gateway: 10.0.0.1 }]",
  "routes: [{ destination: 10.0.0.0/8, dev: lo }]",
  "routes: [{ destination: 'fd00::/8', gateway: 'fd00::1', metric: 5, table: 100 }]",
  "routes: [{ destination: 10.0.0.0/8, type: blackhole }]",
  "rules: [{ priority: 100, table: 100 }]",
  "rules: [{ priority: 1, from: 10.0.0.0/8, action: prohibit }]",
  "rules: [{ priority: 2, fwmark: 3, table: 5 }]",
  "sysctls: { net.ipv4.tcp_ecn: 1 }",
  "sysctls: { net.ipv4.tcp_congestion_control: reno }",
  "nftables: 'table ip t {}'",
  "exec: ['ip link']",
  "run: ['sleep 1']",
  "run: [{ command: [sleep, '1'] }]",
  "run: [{ command: sleep 1, ready: { tcp: 80 } }]",
  "run: [{ command: a, ready: { tcp: '127.0.0.1:80' } }]",
  "run: [{ command: a, ready: { command: b }, timeout: 5s }]",
  "run: [{ command: a, ready: { log: up } }]",
  "env: { A: b, C: 1, D: true }",
  "files: { /etc/motd: hello }",
  "files: { /a: { source: b, mode: '755' } }",
  "files: { /a: { content: '' } }",
  "hosts: { db: 10.0.0.9 }",
  "interfaces: { d0: { kind: dummy } }",
  "interfaces: { br0: { kind: bridge }, d0: { kind: dummy, master: br0 } }",
  "interfaces: { d0: { kind: dummy }, v: { kind: vlan, parent: d0, options: { id: 10 } } }",
  "interfaces: { d0: { kind: dummy }, m: { kind: macvlan, parent: d0, options: { mode: bridge } } }",
  "interfaces: { vx: { kind: vxlan, options: { id: 42, remote: 192.0.2.1 } } }",
  "interfaces: { d0: { kind: dummy, addresses: [10.1.0.1/24, 'fd00::1/64'] } }",
  "interfaces: { w: { kind: physical, from: enp3s0 } }",
  "interfaces: { lo: { addresses: [10.0.0.1/32] } }",
  "interfaces: { d0: { kind: dummy, mac: '02:00:00:00:00:01', mtu: 1400, up: false } }",
];

const GOOD_LINKS = [
  "h1 -- h2",
  "h1:eth0 -- h2:eth0",
  "h1:eth0 -- sw",
  "h[1-2] -- sw",
  "{ endpoints: [h1, h2] }",
  "{ endpoints: ['h1:eth0', 'h2:eth0'] }",
  "{ endpoints: [h1, h2], type: veth }",
  "{ endpoints: [{ node: h1, interface: e }, { node: h2, ipv4: 10.0.0.1/30 }] }",
  "{ segment: [h1, h2] }",
  "{ segment: [h1, h2], name: lan, mtu: 1400, stp: true }",
  "{ segment: [h1, { node: h2, mtu: 1500 }] }",
  "{ endpoints: [h1, sw], access: 10 }",
  "{ endpoints: [h1, sw], trunk: [10, '20-30'] }",
  "{ endpoints: [h1, { node: sw, trunk: [10], native: 1 }] }",
  "{ endpoints: [h1, h2], subnets: [10.1.0.0/30] }",
  "{ type: dummy, endpoint: 'h1:d0' }",
  "{ type: host, endpoint: 'h1:eth0', host-interface: lab0 }",
  "{ type: macvlan, endpoint: 'h1:eth0', host-interface: eno1, mode: private }",
  "{ type: vxlan, endpoint: 'h1:eth0', parent-interface: eno1, remote: 192.0.2.9, vni: 7, udp-port: 4789 }",
  "{ endpoints: [h1, h2], mtu: 9000 }",
  "{ endpoints: [{ node: h1, addresses: [], dad: true, up: false }, h2] }",
];

const GOOD_IMPAIRMENTS = [
  "delay: 20ms",
  "delay: 20",
  "delay: 1.5s, jitter: 100us",
  "loss: 1%",
  "loss: 0.01",
  "rate: 10mbit",
  "rate: 1000000",
  "rate: 125kbps",
  "duplicate: 1%, corrupt: 2%, reorder: 3%, delay: 1ms",
  "limit: 100, seed: 1",
  "distribution: normal, delay: 1ms, jitter: 1ms",
  "'->': { delay: 80ms }, '<-': { delay: 20ms }",
  "'->': { loss: 100% }",
  "delay: 5ms, match: { protocol: tcp, port: 80 }",
  "delay: 5ms, match: { or: [{ port: [1, 9] }, { not: { host: 10.0.0.1 } }] }",
];

const GOOD_EVENTS = [
  "at: 5s, cut: h1 -- h2",
  "at: 0, for: 2s, cut: [h1 -- h2]",
  "at: 1s, heal: h1 -- h2",
  "at: 1s, hold: h1 -- h2",
  "at: 1s, release: h1 -- h2",
  "at: 1s, flap: h1 -- h2, every: 100ms, for: 1s",
  "at: 1s, isolate: h1",
  "at: 1s, impair: { delay: 1s }, link: h1 -- h2",
  "at: 1s, impair: , link: h1 -- h2",
  "at: 1s, kill: [h1, h2]",
  "at: 1s, partition: [[h1], [h2, sw]]",
  "at: 1s, pause: 'h[1-2]'",
];

/** Files that both accept. */
export const GOOD: readonly string[] = [
  "nodes: {}\n",
  "name: two-tier\nnodes: { h1: }\n",
  "nodes: { h1: }\naddressing: none\nrouting: none\n",
  "nodes: { h1: }\naddressing: { ipv4: 10.0.0.0/16, ipv6: 'fd00::/48' }\necmp: true\nseed: 7\n",
  "defaults: { mtu: 1400 }\nkinds: { router: { tier: 1 } }\ngroups: { g: { kind: router } }\nnodes: { h1: { group: g } }\n",
  "nodes: { 'h[1-4,7]': , 'n[01-03]': { kind: router } }\n",
  "without: [image]\nnodes: { h1: { image: alpine } }\n",
  "name: c\ntopology: { nodes: { a: { kind: linux }, b: }, links: [{ endpoints: ['a:eth1', 'b:eth1'] }] }\n",
  "name: c\nwithout: [image]\ntopology: { kinds: { linux: { image: x } }, nodes: { a: { kind: linux } } }\n",
  "nodes: { a: &a { mtu: 1400 }, b: *a }\n",
  ...GOOD_NODES.map(node),
  ...GOOD_LINKS.map(link),
  ...GOOD_IMPAIRMENTS.map(impair),
  ...GOOD_EVENTS.map(event),
];

/** Options, and a part of what the checker says of them. */
type Bad = readonly (readonly [options: string, says: string])[];

const BAD_NODES: Bad = [
  ["kind: ruter", 'did you mean "router"?'],
  ["kind: 1", "must be one of"],
  ["knd: host", 'kind"?'],
  ["mtu: 12", "must be in 68..65535: got 12"],
  ["mtu: 1500.5", "must be an integer"],
  ["mtu: '1500'", "must be an integer"],
  ["tier: 0", "must be in 1..1000"],
  ["netns: {}", "exactly one of pid, path, name"],
  ["netns: { pid: 1, name: a }", "got pid and name"],
  ["netns: { pidd: 1 }", 'pid"?'],
  ["netns: { path: run/x }", "absolute path"],
  ["stp: 1", "must be true or false"],
  ["loopback: yes please", "true or false"],
  ["routes: [{ gateway: 10.0.0.1 }]", 'needs "destination"'],
  ["routes: {}", "must be a list"],
  ["routes: [{ destination: everywhere }]", '"default", an address or a prefix'],
  ["routes: [{ destination: 10.0.0.0/8, metric: -1 }]", "must be in 0.."],
  ["rules: [{ table: 1 }]", 'needs "priority"'],
  ["rules: [{ priority: 1, action: reject }]", "must be one of"],
  ["sysctls: { kernel.panic: 1 }", "net.ipv4.tcp_ecn"],
  ["sysctls: { net.ipv4.tcp_ecn: [1] }", "must be text, or a number"],
  ["nftables: 1", "must be text"],
  ["exec: ip link", "must be a list"],
  ["exec: ['']", "must be a command line"],
  ["run: [{ ready: { tcp: 80 } }]", 'needs "command"'],
  ["run: [{ command: [] }]", "must have at least 1 entries"],
  ["run: [{ command: a, ready: { tcp: 0 } }]", "must be in 1..65535"],
  ["run: [{ command: a, ready: { tcp: 80, log: x } }]", "got tcp and log"],
  ["env: { 'A=': b }", "a name without ="],
  ["run: [{ command: a, timeout: soon }]", "must be a time"],
  ["files: { motd: x }", "absolute path"],
  ["files: { /a: {} }", "exactly one of content, source"],
  ["files: { /a: { content: x, mode: '9' } }", "permissions in octal"],
  ["hosts: { db: here }", "must be an IP address"],
  ["interfaces: { a/b: { kind: dummy } }", "a link name"],
  ["interfaces: { d: { kind: dumy } }", 'did you mean "dummy"?'],
  ["interfaces: { averyveryverylong: { kind: dummy } }", "1 to 15 bytes"],
];

const BAD_PORTS: Bad = [
  ["kind: dummy, addresses: [10.0.0.1]", "with a prefix length"],
  ["kind: dummy, mac: '02:00'", "a MAC address"],
  ["kind: dummy, up: maybe", "true or false"],
  ["kind: dummy, access: 5000", "must be in 1..4094"],
  ["kind: dummy, trunk: []", "at least 1"],
  ["kind: dummy, trunk: ['ten']", "a range of VLANs"],
  ["kind: dummy, options: { a: { b: 1 } }", "must be text"],
];

const BAD_LINKS: Bad = [
  ["h1 - h2", "must be a link such as"],
  ["h1 --h2", "must be a link such as"],
  ["h1", "must be a link"],
  ["3", "must be a link"],
  ["{ endpoints: [h1] }", "must have 2 entries"],
  ["{ endpoints: [h1, h2, sw] }", "must have 2 entries"],
  ["{ endpoints: [h1, 5] }", "must be an endpoint"],
  ["{ endpoint: [h1, h2] }", ""],
  ["{ segment: [] }", "at least 1"],
  ["{ segment: [h1], nmae: x }", 'name"?'],
  ["{ endpoints: [h1, h2], type: vxlan-stitch }", "use type vxlan"],
  ["{ type: mgmt-net, endpoint: 'h1:eth0', host-interface: m0 }", "no management network"],
  ["{ endpoints: [h1, { interface: e }] }", 'needs "node"'],
  ["{ type: dummy }", 'needs "endpoint"'],
  ["{ endpoints: [h1, h2], subnets: 10.0.0.0/8 }", "must be a list"],
];

const BAD_IMPAIRMENTS: Bad = [
  ["delay: 20xs", "must be a time"],
  ["delay: -1", "at least 0"],
  ["loss: 2", "must be in 0..1"],
  ["rate: fast", "must be a rate"],
  ["dealy: 1ms", 'delay"?'],
  ["delay: 1ms, '->': { loss: 1% }", ""],
  ["'->': 5", "must be an object"],
  ["limit: 0", "must be in 1.."],
  ["distribution: gauss", "must be one of"],
  ["match: { port: http }", "must be an integer"],
  ["match: { protocol: tpc }", 'did you mean "tcp"?'],
];

const BAD_EVENTS: Bad = [
  ["cut: h1 -- h2", 'needs "at"'],
  ["at: 1s", "exactly one of cut"],
  ["at: 1s, cut: h1 -- h2, isolate: h1", "got cut and isolate"],
  ["at: later, cut: h1 -- h2", "must be a time"],
  ["at: 1s, cut: h1", "must be a link"],
  ["at: 1s, partition: [h1]", "must be a list"],
  ["at: 1s, explode: h1", "Unknown option"],
];

/** Files of right form that mean nothing. */
const BAD_MEANING: Bad = [
  [two + "links: [h1 -- h3]\n", 'names the node "h3"'],
  [two + "links: [h1 -- h1]\n", "with itself"],
  [two + "links: ['h1:e -- h2', 'h1:e -- sw']\n", "which links 0 uses already"],
  ["nodes: { 'h[4-1]': }\n", "is larger than"],
  ["nodes: { h1: , 'h[1-2]': }\n", 'gives "h1" again'],
  ["nodes: { h1: { group: leaf } }\n", "there are no groups"],
  ["groups: { leaf: {} }\nnodes: { h1: { group: laef } }\n", 'did you mean "leaf"?'],
  ["groups: { leaf: { group: a } }\nnodes: { h1: }\n", "has no meaning for a group"],
  ["kinds: { ruter: {} }\nnodes: { h1: }\n", 'did you mean "router"?'],
  [node("stp: true"), 'needs kind "switch"'],
  [node("netns: { pid: 1 }, kind: router"), "does not go with kind"],
  [node("image: alpine"), "without: [image]"],
  ["without: [images]\nnodes: { h1: }\n", "must be an option of containerlab"],
  [port("mtu: 1400"), "needs a kind"],
  [port("kind: vlan, options: { id: 1 }"), 'needs "parent"'],
  [port("kind: dummy, parent: lo"), "goes with vlan"],
  [port("kind: dummy, from: eth0"), 'goes with kind "physical"'],
  [port("kind: physical"), 'needs "from"'],
  [port("kind: dummy, master: br0"), "must be a bridge"],
  [port("kind: dummy, access: 10"), "needs a port of a switch"],
  [port("kind: bridge, options: { spt: true }"), 'stp"?'],
  [port("kind: macvlan, parent: eth9"), "must be an interface of h1"],
  [port("kind: dummy, addresses: [10.0.0.1/33]"), "must be an IP address or prefix"],
  [impair("loss: 120%"), "must be in 0..1"],
  [port("kind: dummy, mac: '01:00:00:00:00:01'"), "must be a unicast MAC"],
  [node("hosts: { db: 10.0.0 }"), "must be an IP address"],
  [node("routes: [{ destination: default }]"), 'needs "gateway" or "dev"'],
  [node("rules: [{ priority: 1 }]"), 'either "table" or "action"'],
  [node("routes: [{ destination: default, dev: eth7 }]"), "must be an interface of h1"],
  ["nodes: { a: { mtu: 1400 }, b: { mtu: 9000 } }\nlinks: [a -- b]\n", "different MTUs"],
  [wire("access: 10"), "needs a switch at one end"],
  [attach("type: vxlan, remote: 192.0.2.9, vni: 7"), 'needs "parent-interface" with type "vxlan"'],
  [attach("type: macvlan"), 'needs "host-interface"'],
  [attach("type: dummy, host-interface: x0"), 'goes with type "host": got type "dummy"'],
  [attach("type: host, host-interface: x0, mode: vepa"), 'goes with type "macvlan"'],
  [event("at: 1s, cut: h1 -- sw"), "names no link"],
  [event("at: 1s, isolate: h9"), 'names the node "h9"'],
  [event("at: 1s, partition: [[h1], [h1]]"), "in two groups"],
  [event("at: 1s, isolate: h1, every: 1s"), "goes with flap"],
  ["addressing: { ipv4: 10.0.0.0/31 }\n" + two + "links: [h1 -- h2]\n", "is too small"],
  [
    "nodes: { a: , b: , c: }\nlinks: [a -- b, { endpoints: [b, c], subnets: [10.0.0.0/8] }]\n",
    'the subnet of "b:to-c -- c:to-b" covers it',
  ],
  ["addressing: { ipv4: 'fd00::/48' }\n" + two + "links: [h1 -- h2]\n", "must be an IPv4 prefix"],
];

/** Files whose form is wrong at the top. */
const BAD_TOPS: Bad = [
  ["{}\n", 'needs "nodes"'],
  ["[]\n", "must be an object"],
  ["nodes: [h1]\n", "must be an object"],
  ["3\n", "must be an object"],
  ["nodes: { 'h 1': }\n", "a node name"],
  ["nodes: { 'h[1': }\n", "a node name"],
  ["node: { h1: }\n", 'nodes"?'],
  ["nodes: { h1: }\nname: '-'\n", "must be a name"],
  ["nodes: { h1: }\nseed: -1\n", "must be in 0.."],
  ["nodes: { h1: }\naddressing: 10.0.0.0/8\n", 'must be an object, or "none"'],
  ["nodes: { h1: }\nrouting: ospf\n", "must be one of"],
  ["nodes: { h1: }\nlinks: { a: b }\n", "must be a list"],
  ["topology: { links: [] }\n", 'needs "nodes"'],
  ["topology: { nodes: { a: { kind: bridge } } }\n", "must be one of"],
];

const refused = (list: Bad, wrap: (options: string) => string): BadFile[] =>
  list.map(([options, says]) => ({ text: wrap(options), says, schemaRefuses: true }));

/** Files that both refuse, or only the checker. */
export const BAD: readonly BadFile[] = [
  ...refused(BAD_TOPS, (text) => text),
  ...refused(BAD_NODES, node),
  ...refused(BAD_PORTS, port),
  ...refused(BAD_LINKS, link),
  ...refused(BAD_IMPAIRMENTS, impair),
  ...refused(BAD_EVENTS, event),
  ...BAD_MEANING.map(([text, says]) => ({ text, says, schemaRefuses: false })),
];
