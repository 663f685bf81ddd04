// Rules as nft prints them, and as netloom has them.
import type { Family, Rule, TableEntry } from "../../src/nftables/mod.ts";

/** A rule: the family, the line of nft, and the rule in TypeScript. */
export type Case = readonly [family: Family, line: string, rule: Rule];

/** Rules of a chain with the hook `input`, or `ingress` in the family netdev. */
export const FILTER: readonly Case[] = [
  ["ip", "tcp dport 80", { "tcp dport": 80 }],
  ["ip", "icmp type echo-request", { "icmp type": "echo-request" }],
  ["ip", "icmp code port-unreachable", { "icmp code": "port-unreachable" }],
  ["ip", "tcp flags syn", { "tcp flags": "syn" }],
  ["ip", "tcp flags syn,ack", { "tcp flags": ["syn", "ack"] }],
  ["ip", "tcp flags == syn", { "tcp flags": { is: "syn" } }],
  ["ip", "tcp flags != syn", { "tcp flags": { not: "syn" } }],
  ["ip", "tcp flags { syn, ack }", { "tcp flags": { in: ["syn", "ack"] } }],
  ["ip", "tcp flags syn / syn,ack", { "tcp flags": { mask: ["syn", "ack"], is: "syn" } }],
  ["ip", "ct state new", { "ct state": "new" }],
  ["ip", "ct state established,related", { "ct state": ["established", "related"] }],
  ["ip", "ct state != new", { "ct state": { not: "new" } }],
  ["ip", "ct state != { established, new }", { "ct state": { notIn: ["established", "new"] } }],
  ["ip", "ct direction reply", { "ct direction": "reply" }],
  ["ip", "ct status dnat", { "ct status": "dnat" }],
  ["ip", "ct mark 0x00000007", { "ct mark": 7 }],
  ["ip", "ip saddr 0.0.0.0/0", { "ip saddr": "0.0.0.0/0" }],
  ["ip", "ip saddr 10.0.0.0/8", { "ip saddr": "10.0.0.0/8" }],
  ["ip", "ip saddr != 10.0.0.0/8", { "ip saddr": { not: "10.0.0.0/8" } }],
  ["ip", "ip saddr != 10.0.0.0/9", { "ip saddr": { not: "10.0.0.0/9" } }],
  ["ip", "ip saddr 1.1.1.1-1.1.1.5", { "ip saddr": "1.1.1.1-1.1.1.5" }],
  ["ip", "ip saddr != 1.1.1.1-1.1.1.5", { "ip saddr": { not: "1.1.1.1-1.1.1.5" } }],
  ["ip", "ip saddr 1.1.1.1 ip daddr 2.2.2.2", { "ip saddr": "1.1.1.1", "ip daddr": "2.2.2.2" }],
  ["ip", "ip saddr { 10.0.0.0/8, 192.168.0.1 }", { "ip saddr": ["10.0.0.0/8", "192.168.0.1"] }],
  ["ip", "ip saddr != { 1.1.1.1, 2.2.2.2 }", { "ip saddr": { not: ["1.1.1.1", "2.2.2.2"] } }],
  ["ip", "ip ttl 5 ip length > 100 ip id 7", { "ip ttl": 5, "ip length": { gt: 100 }, "ip id": 7 }],
  ["ip", "ip protocol icmp", { "ip protocol": "icmp" }],
  ["ip", "meta mark 0x00000005-0x00000008", { "meta mark": "5-8" }],
  ["ip", "meta mark > 0x00000005", { "meta mark": { gt: 5 } }],
  ["ip", "meta mark & 0x000000ff == 0x00000001", { "meta mark": { mask: 0xff, is: 1 } }],
  ["ip", "meta mark & 0x000000ff != 0x00000001", { "meta mark": { mask: 0xff, not: 1 } }],
  ["ip", "meta mark { 0x00000001, 0x00000002 }", { "meta mark": [1, 2] }],
  ["ip", "meta length > 100", { "meta length": { gt: 100 } }],
  ["ip", "meta length 100-200", { "meta length": "100-200" }],
  [
    "ip",
    "meta iiftype ether meta oiftype ether iifgroup 5 meta skuid 0 meta skgid 5",
    {
      "meta iiftype": "ether",
      "meta oiftype": "ether",
      iifgroup: 5,
      "meta skuid": 0,
      "meta skgid": 5,
    },
  ],
  ["ip", "meta pkttype broadcast meta cpu 1", { "meta pkttype": "broadcast", "meta cpu": 1 }],
  ["ip", "ip dscp cs1", { "ip dscp": "cs1" }],
  ["ip", "ip dscp != lephb", { "ip dscp": { not: "lephb" } }],
  ["ip", "ip ttl { 5, 7-9 }", { "ip ttl": [5, "7-9"] }],
  ["ip", "meta length { 5, 7 }", { "meta length": [5, 7] }],
  ["ip6", "ip6 dscp { cs1, ef }", { "ip6 dscp": ["cs1", "ef"] }],
  ["ip", "ip dscp { cs1, af11 }", { "ip dscp": ["cs1", "af11"] }],
  ["ip", "ip dscp < cs1", { "ip dscp": { lt: "cs1" } }],
  ["ip", "ip ecn ect0", { "ip ecn": "ect0" }],
  ["ip6", "ip6 dscp ef ip6 ecn ce", { "ip6 dscp": "ef", "ip6 ecn": "ce" }],
  ["inet", "fib daddr type local", { "fib daddr type": "local" }],
  ["inet", "fib saddr type != unicast", { "fib saddr type": { not: "unicast" } }],
  ["inet", "fib daddr . iif type { local, broadcast }", {
    "fib daddr . iif type": ["local", "broadcast"],
  }],
  ["inet", "fib saddr . iif oif missing", { "fib saddr . iif oif": "missing" }],
  ["inet", "vlan id 5", { "vlan id": 5 }],
  ["bridge", "vlan id 5 vlan pcp 3", { "vlan id": 5, "vlan pcp": 3 }],
  ["bridge", "ether type 8021q vlan type ip", { "ether type": "8021q", "vlan type": "ip" }],
  ["netdev", "vlan id { 5, 6 }", { "vlan id": [5, 6] }],
  ["netdev", "vlan id 5-9", { "vlan id": "5-9" }],
  ["netdev", "vlan id 5 ip saddr 10.0.0.1", { "vlan id": 5, "ip saddr": "10.0.0.1" }],
  ["netdev", "vlan id 5 tcp dport 80", { "vlan id": 5, "tcp dport": 80 }],
  ["inet", "tcp dport vmap { 22 : accept, 80-90 : drop }", {
    "tcp dport vmap": [{ key: 22, value: "accept" }, { key: "80-90", value: "drop" }],
  }],
  ["inet", "tcp dport vmap { 80-90 : drop, 91-95 : accept }", {
    "tcp dport vmap": [{ key: "80-90", value: "drop" }, { key: "91-95", value: "accept" }],
  }],
  ["inet", "tcp dport vmap @ways", { "tcp dport vmap": "@ways" }],
  ["inet", "ct state vmap { invalid : drop, established : accept }", {
    "ct state vmap": [{ key: "invalid", value: "drop" }, { key: "established", value: "accept" }],
  }],
  ["inet", 'iifname vmap { "lo" : jump other }', {
    "iifname vmap": [{ key: "lo", value: "jump other" }],
  }],
  ["ip", "ip dscp vmap { cs1 : accept, ef : drop }", {
    "ip dscp vmap": [{ key: "cs1", value: "accept" }, { key: "ef", value: "drop" }],
  }],
  ["inet", "fib daddr . iif type vmap { local : accept }", {
    "fib daddr . iif type vmap": [{ key: "local", value: "accept" }],
  }],
  ["inet", "ip saddr . tcp dport @pairs", { "ip saddr . tcp dport": "@pairs" }],
  ["inet", "ip saddr . tcp dport != @pairs", { "ip saddr . tcp dport": { not: "@pairs" } }],
  ["inet", "ip saddr . tcp dport { 1.1.1.1 . 22, 2.2.2.2 . 80 } accept", {
    "ip saddr . tcp dport": [["1.1.1.1", 22], ["2.2.2.2", 80]],
    verdict: "accept",
  }],
  ["inet", "ip saddr . tcp dport { 10.0.0.0/8 . 22-80 }", {
    "ip saddr . tcp dport": [["10.0.0.0/8", "22-80"]],
  }],
  ["inet", "ip saddr . ip daddr . udp dport { 1.1.1.1 . 2.2.2.2 . 5 }", {
    "ip saddr . ip daddr . udp dport": [["1.1.1.1", "2.2.2.2", 5]],
  }],
  ["inet", "ip6 saddr . tcp dport . meta mark { fd00::1 . 5 . 0x00000007 }", {
    "ip6 saddr . tcp dport . meta mark": [["fd00::1", 5, 7]],
  }],
  ["inet", "ip saddr . tcp dport vmap { 1.1.1.1 . 22 : accept }", {
    "ip saddr . tcp dport vmap": [{ key: ["1.1.1.1", 22], value: "accept" }],
  }],
  ["inet", "icmp type . icmp code { echo-request . net-unreachable }", {
    "icmp type . icmp code": [["echo-request", "net-unreachable"]],
  }],
  ["inet", "ip dscp set cs1", { "ip dscp set": "cs1" }],
  ["inet", "ip6 dscp set ef", { "ip6 dscp set": "ef" }],
  ["ip6", "ip6 ecn set ce ip6 hoplimit set 5", { "ip6 ecn set": "ce", "ip6 hoplimit set": 5 }],
  ["ip", "ip ttl set 5", { "ip ttl set": 5 }],
  ["ip", "ip ecn set not-ect", { "ip ecn set": "not-ect" }],
  ["ip", "ip saddr 10.0.0.1 ip daddr set 1.2.3.4", {
    "ip saddr": "10.0.0.1",
    "ip daddr set": "1.2.3.4",
  }],
  ["inet", "ip6 daddr set fd00::1", { "ip6 daddr set": "fd00::1" }],
  ["inet", "tcp dport 8080 tcp dport set 80", { "tcp dport": 8080, "tcp dport set": 80 }],
  ["inet", "tcp flags set syn", { "tcp flags set": "syn" }],
  ["inet", "udp dport set 53", { "udp dport set": 53 }],
  ["netdev", "ether saddr set 02:00:00:00:00:01", { "ether saddr set": "02:00:00:00:00:01" }],
  ["netdev", "vlan id set 7", { "vlan id set": 7 }],
  ["inet", "meta mark set ct mark", { "meta mark set": "ct mark" }],
  ["inet", "ct mark set meta mark", { "ct mark set": "meta mark" }],
  ["inet", 'counter name "visits" drop', { counter: { name: "visits" }, verdict: "drop" }],
  ["inet", 'quota name "daily"', { quota: { name: "daily" } }],
  ["inet", 'limit name "slow"', { limit: { name: "slow" } }],
  ["ip", 'iifname { "lo", "eth0" }', { iifname: ["lo", "eth0"] }],
  ["ip", 'iifname != "eth0"', { iifname: { not: "eth0" } }],
  ["ip", 'iifname != "eth*"', { iifname: { not: "eth*" } }],
  ["ip", 'oifname "eth*"', { oifname: "eth*" }],
  ["ip", "tcp dport != 5", { "tcp dport": { not: 5 } }],
  ["ip", "tcp dport >= 5", { "tcp dport": { gte: 5 } }],
  ["ip", "tcp dport 5-9", { "tcp dport": "5-9" }],
  ["ip", "tcp dport != 5-9", { "tcp dport": { not: "5-9" } }],
  ["ip", "tcp dport { 5-9, 12 }", { "tcp dport": ["5-9", 12] }],
  ["ip", "udp sport 53 udp length < 100", { "udp sport": 53, "udp length": { lt: 100 } }],
  ["ip", "sctp dport 5", { "sctp dport": 5 }],
  ["ip", "reject", { reject: true }],
  ["ip6", "reject", { reject: true }],
  ["ip6", "ip6 saddr fd00::/64 ip6 hoplimit 255", {
    "ip6 saddr": "fd00::/64",
    "ip6 hoplimit": 255,
  }],
  ["inet", "meta l4proto { tcp, udp } th dport 53", {
    "meta l4proto": ["tcp", "udp"],
    "th dport": 53,
  }],
  ["inet", "meta l4proto tcp", { "meta l4proto": "tcp" }],
  ["inet", "ip protocol tcp tcp dport 53", { "ip protocol": "tcp", "tcp dport": 53 }],
  ["inet", "ip6 nexthdr udp udp dport 53", { "ip6 nexthdr": "udp", "udp dport": 53 }],
  ["inet", "ip6 daddr fd00::1", { "ip6 daddr": "fd00::1" }],
  ["inet", "icmp type echo-request", { "icmp type": "echo-request" }],
  ["inet", "icmpv6 type echo-request", { "icmpv6 type": "echo-request" }],
  ["inet", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }", {
    "icmpv6 type": ["nd-neighbor-solicit", "nd-neighbor-advert"],
  }],
  ["inet", "meta nfproto ipv4 tcp dport 5", { "meta nfproto": "ipv4", "tcp dport": 5 }],
  ["inet", "meta protocol ip6 tcp dport 5", { "meta protocol": "ip6", "tcp dport": 5 }],
  ["inet", "ether saddr 02:00:00:00:00:01", { "ether saddr": "02:00:00:00:00:01" }],
  ["inet", "tcp sequence 5 ip id 7", { "tcp sequence": 5, "ip id": 7 }],
  ["inet", "ip saddr 10.0.0.0/8 tcp dport 80 accept", {
    "ip saddr": "10.0.0.0/8",
    "tcp dport": 80,
    verdict: "accept",
  }],
  ["inet", "ct mark set 0x00000005", { "ct mark set": 5 }],
  ["inet", "meta priority set 1:5 accept", { "meta priority set": 0x10005, verdict: "accept" }],
  ["inet", "meta mark set 0x00000005", { "meta mark set": 5 }],
  ["inet", "limit rate 10/second", { limit: "10/second" }],
  ["inet", "limit rate over 5/minute burst 7 packets", {
    limit: { rate: "5/minute", over: true, burst: 7 },
  }],
  ["inet", "limit rate 10 mbytes/second", { limit: "10 mbytes/second" }],
  ["inet", "limit rate 5 kbytes/second burst 7 kbytes", {
    limit: { rate: "5 kbytes/second", burst: 7168 },
  }],
  ["inet", "quota 1 mbytes", { quota: 1048576 }],
  ["inet", "quota over 1000 bytes", { quota: { bytes: 1000, over: true } }],
  ["inet", "reject", { reject: true }],
  ["inet", "reject with icmp host-unreachable", { reject: "icmp host-unreachable" }],
  ["inet", "reject with icmpv6 no-route", { reject: "icmpv6 no-route" }],
  ["inet", "reject with icmpx no-route", { reject: "icmpx no-route" }],
  ["inet", "tcp dport 1 reject with tcp reset", { "tcp dport": 1, reject: "tcp reset" }],
  ["inet", "meta l4proto tcp reject with tcp reset", {
    "meta l4proto": "tcp",
    reject: "tcp reset",
  }],
  ["inet", "log", { log: true }],
  ["inet", 'log prefix "x: " level debug', { log: { prefix: "x: ", level: "debug" } }],
  ["inet", "log group 1 snaplen 5 queue-threshold 3", {
    log: { group: 1, snaplen: 5, queueThreshold: 3 },
  }],
  ["inet", "numgen inc mod 3 0", { numgen: { mode: "inc", mod: 3, match: 0 } }],
  ["inet", "numgen random mod 100 offset 5 < 50", {
    numgen: { mode: "random", mod: 100, offset: 5, match: { lt: 50 } },
  }],
  ["inet", "counter packets 3 bytes 5 drop", {
    counter: { packets: 3, bytes: 5 },
    verdict: "drop",
  }],
  ["inet", "jump other", { verdict: "jump other" }],
  ["inet", "goto other", { verdict: "goto other" }],
  ["inet", "return", { verdict: "return" }],
  ["inet", "continue", { verdict: "continue" }],
  ["inet", 'tcp dport 22 accept comment "secure shell"', {
    "tcp dport": 22,
    verdict: "accept",
    comment: "secure shell",
  }],
  ["inet", "tcp dport != 5 tcp dport != 7 accept", [
    { "tcp dport": { not: 5 } },
    { "tcp dport": { not: 7 }, verdict: "accept" },
  ]],
  ["inet", "ip saddr @some drop", { "ip saddr": "@some", verdict: "drop" }],
  ["inet", "ip saddr != @some drop", { "ip saddr": { not: "@some" }, verdict: "drop" }],
  ["netdev", "reject", { reject: true }],
  ["netdev", "ip saddr 1.2.3.4 tcp dport 5 drop", {
    "ip saddr": "1.2.3.4",
    "tcp dport": 5,
    verdict: "drop",
  }],
  ["netdev", "arp operation request", { "arp operation": "request" }],
  ["netdev", "ether saddr 02:00:00:00:00:01", { "ether saddr": "02:00:00:00:00:01" }],
  ["arp", "arp operation reply drop", { "arp operation": "reply", verdict: "drop" }],
  ["bridge", "ip saddr 1.2.3.4 udp dport 5 drop", {
    "ip saddr": "1.2.3.4",
    "udp dport": 5,
    verdict: "drop",
  }],
  ["bridge", "ether saddr 02:00:00:00:00:01 drop", {
    "ether saddr": "02:00:00:00:00:01",
    verdict: "drop",
  }],
];

/** Rules of a chain with the hook `prerouting`. */
export const PREROUTING: readonly Case[] = [
  ["inet", "meta pkttype set host notrack", { "meta pkttype set": "host", notrack: true }],
];

/** Rules of a chain of the type `nat` with the hook `postrouting`. */
export const SOURCE_NAT: readonly Case[] = [
  ["inet", "masquerade", { masquerade: true }],
  ["inet", "masquerade fully-random,persistent", {
    masquerade: { fullyRandom: true, persistent: true },
  }],
  ["inet", "meta l4proto tcp masquerade to :1000-2000", {
    "meta l4proto": "tcp",
    masquerade: { to: ":1000-2000" },
  }],
  ["inet", "snat ip to 1.1.1.1", { snat: "1.1.1.1" }],
  ["inet", "snat ip to 1.1.1.1-1.1.1.5 random", { snat: { to: "1.1.1.1-1.1.1.5", random: true } }],
  ["inet", "snat ip6 to fd00::1", { snat: "fd00::1" }],
  ["inet", "tcp dport 5 snat ip6 to [fd00::1]:5-9", { "tcp dport": 5, snat: "[fd00::1]:5-9" }],
];

/** Rules of a chain of the type `nat` with the hook `prerouting`. */
export const DESTINATION_NAT: readonly Case[] = [
  ["inet", "redirect", { redirect: true }],
  ["inet", "tcp dport 80 redirect to :8080", { "tcp dport": 80, redirect: 8080 }],
  ["inet", "tcp dport 5 redirect to :5-9 random", {
    "tcp dport": 5,
    redirect: { to: ":5-9", random: true },
  }],
  ["inet", "tcp dport 80 dnat ip to 10.0.0.2:8080", { "tcp dport": 80, dnat: "10.0.0.2:8080" }],
];

export const OURS: TableEntry = {
  family: "inet",
  name: "filter",
  comment: "of netloom",
  sets: [
    { name: "plain", type: "ipv4_addr", elements: ["1.1.1.1", "2.2.2.2"] },
    { name: "ranges", type: "ipv4_addr", elements: ["10.0.0.0/8", "192.168.0.1-192.168.0.9"] },
    { name: "all", type: "ipv6_addr", elements: ["fd00::/16", "ff00::/8"] },
    {
      name: "timed",
      type: "inet_service",
      timeout: 3600,
      size: 100,
      elements: [{ key: 5, timeout: 600 }],
    },
    { name: "named", type: "ifname", comment: "links", elements: ["lo", "eth0"] },
    { name: "pairs", type: "ipv4_addr . inet_service", elements: [["1.1.1.1", 80]] },
    { name: "spans", type: "ipv4_addr . inet_service", elements: [["10.0.0.0/8", "80-90"]] },
    { name: "noted", type: "ipv6_addr", elements: [{ key: "fd00::1", comment: "one" }] },
    {
      name: "verdicts",
      type: "inet_service",
      map: "verdict",
      elements: [{ key: 22, value: "accept" }, { key: 80, value: "jump other" }],
    },
    {
      name: "ports",
      type: "ipv4_addr",
      map: "inet_service",
      elements: [{ key: "1.1.1.1", value: 80 }],
    },
  ],
  chains: [
    { name: "other", rules: [{ "ip saddr": "@plain", verdict: "drop" }] },
    {
      name: "input",
      hook: "input",
      priority: "filter + 5",
      policy: "drop",
      comment: "what comes in",
      rules: [{ "tcp dport": [22, "80-90"], verdict: "jump other" }],
    },
  ],
};
