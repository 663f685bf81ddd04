// Routes as the tests set and expect them.
import type { RouteCacheInfo, RouteInfo, RouteMessage } from "../../src/rtnetlink/mod.ts";
import { fromHex, type Json } from "../helpers.ts";
import { V0, V1 } from "./testbed.ts";

/** What most routes have. */
export const PLAIN: Omit<RouteInfo, "destination"> = {
  family: "inet",
  type: "unicast",
  table: "main",
  protocol: "boot",
  scope: "global",
  tos: 0,
  flags: [],
};

/** What most IPv6 routes have. */
export const PLAIN6: typeof PLAIN & { cacheInfo: RouteCacheInfo } = {
  ...PLAIN,
  family: "inet6",
  pref: "medium",
  cacheInfo: { clients: 0, lastUse: 0, expires: 0, error: 0, used: 0 },
};

/**
 * A way to set a route: ours, iproute2's, what either has to show then, and what the kernel and `ip`
 * must be able to do for it.
 */
export type Case = [
  name: string,
  message: RouteMessage,
  words: string,
  shown: Json,
  info: Partial<RouteInfo>,
  setup?: string[],
];

export const CASES: Case[] = [
  [
    "a link",
    { destination: "10.0.0.0/8", oif: V0 },
    "10.0.0.0/8 dev v0",
    { dst: "10.0.0.0/8", dev: "v0", scope: "link", protocol: "boot" },
    { ...PLAIN, destination: "10.0.0.0/8", oif: V0, scope: "link" },
  ],
  [
    "a router",
    { destination: "10.0.0.0/8", gateway: "192.0.2.2" },
    "10.0.0.0/8 via 192.0.2.2",
    { gateway: "192.0.2.2", dev: "v0", scope: "global" },
    { ...PLAIN, destination: "10.0.0.0/8", gateway: "192.0.2.2", oif: V0 },
  ],
  [
    "the default",
    { destination: "default", gateway: "192.0.2.2" },
    "default via 192.0.2.2",
    { dst: "default", gateway: "192.0.2.2" },
    { ...PLAIN, destination: "default", gateway: "192.0.2.2", oif: V0 },
  ],
  [
    "the default spelt out",
    { destination: "0.0.0.0/0", gateway: "192.0.2.2" },
    "0.0.0.0/0 via 192.0.2.2",
    { dst: "default" },
    { ...PLAIN, destination: "default" },
  ],
  [
    "one address",
    { destination: "10.0.0.1", oif: V0 },
    "10.0.0.1 dev v0",
    { dst: "10.0.0.1" },
    { destination: "10.0.0.1/32" },
  ],
  [
    "an IPv6 router for IPv4",
    { destination: "10.0.0.0/8", gateway: "fe80::1", oif: V0 },
    "10.0.0.0/8 via inet6 fe80::1 dev v0",
    { via: { family: "inet6", host: "fe80::1" } },
    { gateway: "fe80::1", oif: V0 },
  ],
  [
    "a router that no address covers",
    { destination: "10.0.0.0/8", gateway: "172.16.0.1", oif: V0, onlink: true },
    "10.0.0.0/8 via 172.16.0.1 dev v0 onlink",
    { gateway: "172.16.0.1", flags: ["onlink"] },
    { gateway: "172.16.0.1", onlink: true, flags: ["onlink"] },
  ],
  [
    "metric, protocol and source address",
    {
      destination: "10.0.0.0/8",
      oif: V0,
      metric: 100,
      protocol: "static",
      prefsrc: "192.0.2.1",
    },
    "10.0.0.0/8 dev v0 metric 100 proto static src 192.0.2.1",
    { metric: 100, protocol: "static", prefsrc: "192.0.2.1" },
    { metric: 100, protocol: "static", prefsrc: "192.0.2.1" },
  ],
  [
    "protocols by other names",
    { destination: "10.0.0.0/8", oif: V0, protocol: "dhcp" },
    "10.0.0.0/8 dev v0 proto dhcp",
    { protocol: "dhcp" },
    { protocol: "dhcp" },
  ],
  [
    "a protocol by number",
    { destination: "10.0.0.0/8", oif: V0, protocol: 77 },
    "10.0.0.0/8 dev v0 proto 77",
    { protocol: "77" },
    { protocol: 77 },
  ],
  [
    "a table by number",
    { destination: "10.0.0.0/8", oif: V0, table: 77 },
    "10.0.0.0/8 dev v0 table 77",
    { table: "77" },
    { table: 77 },
  ],
  [
    "a table beyond 255",
    { destination: "10.0.0.0/8", oif: V0, table: 70000 },
    "10.0.0.0/8 dev v0 table 70000",
    { table: "70000" },
    { table: 70000 },
  ],
  [
    "a table by name",
    { destination: "10.0.0.0/8", oif: V0, table: "default" },
    "10.0.0.0/8 dev v0 table default",
    { table: "default" },
    { table: "default" },
  ],
  [
    "a scope by number",
    { destination: "10.0.0.0/8", oif: V0, scope: 100 },
    "10.0.0.0/8 dev v0 scope 100",
    { scope: "100" },
    { scope: 100 },
  ],
  [
    "type of service",
    { destination: "10.0.0.0/8", oif: V0, tos: 0x10 },
    "10.0.0.0/8 dev v0 tos 0x10",
    { tos: "0x10" },
    { tos: 0x10 },
  ],
  ...(["blackhole", "unreachable", "prohibit", "throw"] as const).map((
    type,
  ): Case => [
    `type ${type}`,
    { destination: "10.0.0.0/8", type },
    `${type} 10.0.0.0/8`,
    { type, dst: "10.0.0.0/8" },
    { ...PLAIN, type },
  ]),
  [
    "type local",
    { destination: "10.0.0.0/8", type: "local", oif: 1 },
    "local 10.0.0.0/8 dev lo",
    { type: "local", table: "local", scope: "host" },
    { type: "local", table: "local", scope: "host" },
  ],
  [
    "type broadcast",
    { destination: "10.255.255.255", type: "broadcast", oif: V0 },
    "broadcast 10.255.255.255 dev v0",
    { type: "broadcast", table: "local", scope: "link" },
    { type: "broadcast", table: "local", scope: "link" },
  ],
  [
    "type multicast",
    { destination: "224.0.0.0/4", type: "multicast", oif: V0 },
    "multicast 224.0.0.0/4 dev v0",
    { type: "multicast", scope: "link" },
    { type: "multicast", scope: "link", table: "main" },
  ],
  [
    "every metric",
    {
      destination: "10.0.0.0/8",
      oif: V0,
      metrics: {
        mtu: 1400,
        window: 10000,
        rtt: 12,
        rttvar: 5,
        ssthresh: 7,
        cwnd: 20,
        advmss: 1300,
        reordering: 4,
        hoplimit: 9,
        initcwnd: 11,
        features: 1,
        rtoMin: 50,
        initrwnd: 12,
        quickack: true,
        ccAlgo: "cubic",
        fastopenNoCookie: true,
      },
    },
    "10.0.0.0/8 dev v0 mtu 1400 window 10000 rtt 12ms rttvar 5ms ssthresh 7 cwnd 20 advmss 1300" +
    " reordering 4 hoplimit 9 initcwnd 11 features ecn rto_min 50ms initrwnd 12 quickack 1" +
    " congctl cubic fastopen_no_cookie 1",
    {
      metrics: [{
        mtu: 1400,
        window: 10000,
        rtt: 12,
        rttvar: 5,
        ssthresh: 7,
        cwnd: 20,
        advmss: 1300,
        reordering: 4,
        hoplimit: 9,
        initcwnd: 11,
        rto_min: 50,
        initrwnd: 12,
        quickack: 1,
        fastopen_no_cookie: 1,
        congestion: "cubic",
        ecn: null,
      }],
    },
    {
      metrics: {
        lock: ["rtoMin"],
        mtu: 1400,
        window: 10000,
        rtt: 12,
        rttvar: 5,
        ssthresh: 7,
        cwnd: 20,
        advmss: 1300,
        reordering: 4,
        hoplimit: 9,
        initcwnd: 11,
        features: 1,
        rtoMin: 50,
        initrwnd: 12,
        quickack: true,
        ccAlgo: "cubic",
        fastopenNoCookie: true,
      },
    },
  ],
  [
    "locked metrics",
    {
      destination: "10.0.0.0/8",
      oif: V0,
      metrics: { lock: ["mtu", "cwnd", "hoplimit"], mtu: 1400, cwnd: 20, hoplimit: 5 },
    },
    "10.0.0.0/8 dev v0 mtu lock 1400 cwnd lock 20 hoplimit lock 5",
    { metrics: [{ mtu: 1400, cwnd: 20, hoplimit: 5 }] },
    { metrics: { lock: ["mtu", "cwnd", "hoplimit"], mtu: 1400, cwnd: 20, hoplimit: 5 } },
  ],
  [
    "parts of a millisecond",
    { destination: "10.0.0.0/8", oif: V0, metrics: { rtt: 1.125, rttvar: 0.25 } },
    "10.0.0.0/8 dev v0 rtt 9 rttvar 1",
    {},
    { metrics: { rtt: 1.125, rttvar: 0.25 } },
  ],
  [
    "several ways",
    {
      destination: "10.0.0.0/8",
      nexthops: [
        { gateway: "192.0.2.2", weight: 256 },
        { gateway: "fe80::9", oif: V1, weight: 2 },
        { gateway: "172.16.0.1", oif: V0, onlink: true },
        { oif: V1, weight: 7 },
      ],
    },
    "10.0.0.0/8 nexthop via 192.0.2.2 weight 256 nexthop via inet6 fe80::9 dev v1 weight 2" +
    " nexthop via 172.16.0.1 dev v0 onlink nexthop dev v1 weight 7",
    {
      nexthops: [
        { gateway: "192.0.2.2", dev: "v0", weight: 256, flags: [] },
        { via: { family: "inet6", host: "fe80::9" }, dev: "v1", weight: 2, flags: [] },
        { gateway: "172.16.0.1", dev: "v0", weight: 1, flags: ["onlink"] },
        { dev: "v1", weight: 7, flags: [] },
      ],
    },
    {
      ...PLAIN,
      nexthops: [
        { gateway: "192.0.2.2", oif: V0, weight: 256, flags: [] },
        { gateway: "fe80::9", oif: V1, weight: 2, flags: [] },
        { gateway: "172.16.0.1", oif: V0, weight: 1, flags: ["onlink"], onlink: true },
        { oif: V1, weight: 7, flags: [] },
      ],
    },
  ],
  [
    "IPv6",
    { destination: "2001:db8:1::/48", gateway: "2001:db8::2", metric: 50, prefsrc: "2001:db8::1" },
    "2001:db8:1::/48 via 2001:db8::2 metric 50 src 2001:db8::1",
    { dst: "2001:db8:1::/48", gateway: "2001:db8::2", metric: 50, prefsrc: "2001:db8::1" },
    {
      ...PLAIN6,
      destination: "2001:db8:1::/48",
      gateway: "2001:db8::2",
      oif: V0,
      metric: 50,
      prefsrc: "2001:db8::1",
    },
  ],
  [
    "IPv6's default metric",
    { destination: "2001:db8:1::/48", oif: V0 },
    "2001:db8:1::/48 dev v0",
    { metric: 1024, scope: "global" },
    { ...PLAIN6, oif: V0, metric: 1024 },
  ],
  [
    "the IPv6 default with rank and expiry",
    { destination: "default", gateway: "2001:db8::2", pref: "low", expires: 1000 },
    "default via 2001:db8::2 pref low expires 1000",
    { dst: "default", pref: "low" },
    { destination: "default", pref: "low", family: "inet6" },
  ],
  [
    "the IPv6 default by family alone",
    { destination: "default", family: "inet6", oif: V0 },
    "::/0 dev v0",
    { dst: "default", dev: "v0" },
    { destination: "default", family: "inet6" },
  ],
  [
    "several IPv6 ways",
    {
      destination: "2001:db8:1::/48",
      nexthops: [
        { gateway: "2001:db8::2", weight: 5 },
        { gateway: "fe80::1", oif: V1 },
      ],
    },
    "2001:db8:1::/48 nexthop via 2001:db8::2 weight 5 nexthop via fe80::1 dev v1",
    {
      nexthops: [
        { gateway: "2001:db8::2", dev: "v0", weight: 5, flags: [] },
        { gateway: "fe80::1", dev: "v1", weight: 1, flags: [] },
      ],
    },
    {
      nexthops: [
        { gateway: "2001:db8::2", oif: V0, weight: 5, flags: [] },
        { gateway: "fe80::1", oif: V1, weight: 1, flags: [] },
      ],
    },
  ],
  [
    "an IPv6 route that drops packets",
    { destination: "2001:db8:1::/48", type: "unreachable", metric: 9 },
    "unreachable 2001:db8:1::/48 metric 9",
    { type: "unreachable", metric: 9 },
    { type: "unreachable", metric: 9, family: "inet6" },
  ],
  [
    "IPv6 with a source prefix",
    { destination: "2001:db8:1::/48", source: "2001:db8::/64", oif: V0 },
    "2001:db8:1::/48 from 2001:db8::/64 dev v0",
    { dst: "2001:db8:1::/48", from: "2001:db8::/64" },
    { destination: "2001:db8:1::/48", source: "2001:db8::/64" },
    ["ip -6 route add 2001:db8:9::/48 from 2001:db8::/64 dev v0 table 9"],
  ],
  [
    "a nexthop object",
    { destination: "10.0.0.0/8", nexthopId: 5 },
    "10.0.0.0/8 nhid 5",
    { nhid: 5, gateway: "192.0.2.2" },
    { ...PLAIN, nexthopId: 5, gateway: "192.0.2.2", oif: V0 },
    ["ip nexthop add id 5 via 192.0.2.2 dev v0"],
  ],
  [
    "an encapsulation by bytes",
    {
      destination: "10.0.0.0/8",
      oif: V0,
      encapType: 2, // LWTUNNEL_ENCAP_IP: id 5 (be64), destination 192.0.2.99
      encap: fromHex("0c000100 00000000 00000005 08000200 c0000263"),
    },
    "10.0.0.0/8 encap ip id 5 dst 192.0.2.99 dev v0",
    { encap: "ip", id: 5, dev: "v0" },
    { encapType: 2 },
    ["ip route add 10.9.0.0/16 encap ip id 5 dst 192.0.2.99 dev v0 table 9"],
  ],
];
