// Packets of every kind that the codecs know.
import {
  arp,
  ARPOP,
  buildPacket,
  DHCP,
  dhcp,
  DHCP_OPTION,
  dns,
  DNS_TYPE,
  type DnsData,
  ethernet,
  ICMP,
  icmp,
  ICMPV6,
  icmpv6,
  ipv4,
  ipv6,
  ipv6Extension,
  ND,
  neighborDiscovery,
  tcp,
  TCP_FLAG,
  udp,
  vxlan,
} from "../../src/packet/mod.ts";

const A = "02:00:00:00:00:01";
const B = "02:00:00:00:00:02";

const link = ethernet({ source: A, destination: B });
const v4 = ipv4({ source: "10.0.0.1", destination: "10.0.0.2", identification: 7 });
const v6 = ipv6({ source: "fd00::1", destination: "fd00::2" });
const near = ipv6({ source: "fe80::1", destination: "ff02::1:ff00:2", hopLimit: 255 });
const ports = { sourcePort: 40000, destinationPort: 9000 };
const payload = Uint8Array.from({ length: 101 }, (_, i) => i * 7);

const syn = tcp({
  ...ports,
  sequence: 0xfffffff0,
  syn: true,
  window: 64240,
  options: [
    { mss: 1460 },
    { sackPermitted: true },
    { timestamp: 4000000000, echo: 0 },
    { nop: true },
    { windowScale: 7 },
  ],
});
const data = tcp({
  ...ports,
  sequence: 1000,
  acknowledgment: 4294967295,
  psh: true,
  window: 502,
  options: [{ nop: true }, { nop: true }, { timestamp: 1, echo: 2 }],
});
const sack = tcp({
  ...ports,
  sequence: 5,
  acknowledgment: 6,
  options: [{ nop: true }, { nop: true }, { sack: [[100, 200], [300, 4294967295]] }],
});
const request = buildPacket(v4, udp(ports), payload);
const request6 = buildPacket(v6, udp(ports), payload);

const discover = dhcp({
  messageType: DHCP.DISCOVER,
  transaction: 0x12345678,
  clientMac: A,
  broadcast: true,
  options: [
    { type: DHCP_OPTION.HOSTNAME, value: new TextEncoder().encode("box") },
    { type: DHCP_OPTION.PARAMETER_REQUEST_LIST, value: Uint8Array.of(1, 3, 6) },
  ],
});
const offer = dhcp({
  messageType: DHCP.OFFER,
  transaction: 0x12345678,
  clientMac: A,
  yourAddress: "10.0.0.50",
  options: [
    { type: DHCP_OPTION.ROUTER, value: Uint8Array.of(10, 0, 0, 1, 10, 0, 0, 254) },
    { type: DHCP_OPTION.LEASE_TIME, value: Uint8Array.of(0, 0, 14, 16) },
  ],
});
const advertisement = neighborDiscovery({
  type: ND.ROUTER_ADVERT,
  hopLimit: 64,
  managed: true,
  routerLifetime: 1800,
  options: [
    { type: "source-lladdr", lladdr: A },
    { type: "mtu", mtu: 1500 },
    {
      type: "prefix",
      prefix: "2001:db8::",
      length: 64,
      onLink: true,
      autonomous: true,
      validLifetime: 86400,
      preferredLifetime: 14400,
    },
    { type: "rdnss", lifetime: 600, servers: ["2001:db8::53", "2001:db8::54"] },
  ],
});
const alert = ipv6Extension({ type: 0, body: Uint8Array.of(5, 2, 0, 0) });
const fragment = (offset: number, more: number, nextHeader: number) => {
  const body = Uint8Array.of(offset >> 8, offset & 0xf8 | more, 0, 0, 0, 9);
  return ipv6Extension({ type: 44, body, nextHeader });
};

const icmpError = (code: number, rest = 0) =>
  buildPacket(link, v4, icmp({ type: ICMP.DEST_UNREACH, code, rest }), request);
const icmpv6Error = (type: number, code: number, rest = 0) =>
  buildPacket(link, v6, icmpv6({ type, code, rest }), request6);

const query = { id: 7, questions: [{ name: "www.example.com", type: DNS_TYPE.A }] };
const record = (name: string, type: number, data: DnsData) => ({ name, type, ttl: 300, data });
const answers = [
  record("www.example.com", DNS_TYPE.CNAME, { target: "host.example.com" }),
  record("host.example.com", DNS_TYPE.A, { address: "10.0.0.9" }),
  record("host.example.com", DNS_TYPE.AAAA, { address: "2001:db8::9" }),
  record("example.com", DNS_TYPE.NS, { target: "ns.example.com" }),
  record("9.0.0.10.in-addr.arpa", DNS_TYPE.PTR, { target: "host.example.com" }),
  record("example.com", DNS_TYPE.MX, { preference: 10, exchange: "mail.example.com" }),
  record("example.com", DNS_TYPE.TXT, { text: ["v=spf1 -all", "second"] }),
  record("example.com", DNS_TYPE.SOA, {
    primary: "ns.example.com",
    mailbox: "admin.example.com",
    serial: 1,
    refresh: 2,
    retry: 3,
    expire: 4,
    minimum: 4294967295,
  }),
  record("_http._tcp.example.com", DNS_TYPE.SRV, {
    priority: 1,
    weight: 2,
    port: 80,
    target: "www.example.com",
  }),
  record("example.com", 65_280, { bytes: Uint8Array.of(1, 2, 3) }),
];
const dnsFrame = (fields: Parameters<typeof dns>[0], port = 53) =>
  buildPacket(link, v4, udp({ sourcePort: 5353, destinationPort: port }), dns(fields));

/** Ethernet frames, each with a name. */
export const SAMPLES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  "ARP request": buildPacket(
    link,
    arp({ senderMac: A, senderIp: "10.0.0.1", targetIp: "10.0.0.2" }),
  ),
  "ARP reply": buildPacket(
    link,
    arp({
      operation: ARPOP.REPLY,
      senderMac: A,
      senderIp: "10.0.0.1",
      targetMac: B,
      targetIp: "10.0.0.2",
    }),
  ),
  "ARP announcement": buildPacket(
    link,
    arp({ senderMac: A, senderIp: "10.0.0.1", targetIp: "10.0.0.1" }),
  ),
  "ARP request to one": buildPacket(
    link,
    arp({ senderMac: A, senderIp: "10.0.0.1", targetMac: B, targetIp: "10.0.0.2" }),
  ),
  "UDP": buildPacket(link, v4, udp(ports), payload),
  "UDP over IPv6": buildPacket(link, v6, udp(ports), payload),
  "empty UDP": buildPacket(link, v4, udp(ports)),
  "TCP SYN": buildPacket(link, v4, syn),
  "TCP SYN over IPv6": buildPacket(link, v6, syn),
  "TCP data": buildPacket(link, v4, data, payload),
  "TCP data over IPv6": buildPacket(link, v6, data, payload),
  "TCP ACK": buildPacket(link, v4, tcp({ ...ports, sequence: 1, acknowledgment: 99 })),
  "TCP SACK": buildPacket(link, v4, sack),
  "TCP FIN": buildPacket(link, v4, tcp({ ...ports, sequence: 9, acknowledgment: 99, fin: true })),
  "TCP RST": buildPacket(link, v4, tcp({ ...ports, sequence: 9, rst: true, window: 0 })),
  "TCP SYN for ECN": buildPacket(
    link,
    v4,
    tcp({ ...ports, syn: true, flags: TCP_FLAG.ECE | TCP_FLAG.CWR }),
  ),
  "TCP urgent": buildPacket(
    link,
    v4,
    tcp({ ...ports, acknowledgment: 1, flags: TCP_FLAG.URG, urgentPointer: 3 }),
    payload,
  ),
  "TCP without flags": buildPacket(link, v4, tcp(ports)),
  "ICMP echo": buildPacket(
    link,
    v4,
    icmp({ type: ICMP.ECHO, identifier: 7, sequence: 3 }),
    payload,
  ),
  "ICMP echo reply": buildPacket(
    link,
    v4,
    icmp({ type: ICMP.ECHO_REPLY, identifier: 7, sequence: 3 }),
    payload,
  ),
  "ICMP net unreachable": icmpError(0),
  "ICMP host unreachable": icmpError(1),
  "ICMP protocol unreachable": icmpError(2),
  "ICMP port unreachable": icmpError(3),
  "ICMP fragmentation needed": icmpError(4, 1400),
  "ICMP prohibited": icmpError(13),
  "ICMP time exceeded": buildPacket(link, v4, icmp({ type: ICMP.TIME_EXCEEDED }), request),
  "ICMP redirect": buildPacket(
    link,
    v4,
    icmp({ type: ICMP.REDIRECT, code: 1, rest: 0x0a0000fe }),
    request,
  ),
  "ICMPv6 echo": buildPacket(
    link,
    v6,
    icmpv6({ type: ICMPV6.ECHO, identifier: 7, sequence: 3 }),
    payload,
  ),
  "ICMPv6 echo reply": buildPacket(
    link,
    v6,
    icmpv6({ type: ICMPV6.ECHO_REPLY, identifier: 7, sequence: 3 }),
  ),
  "ICMPv6 no route": icmpv6Error(ICMPV6.DEST_UNREACH, 0),
  "ICMPv6 prohibited": icmpv6Error(ICMPV6.DEST_UNREACH, 1),
  "ICMPv6 address unreachable": icmpv6Error(ICMPV6.DEST_UNREACH, 3),
  "ICMPv6 port unreachable": icmpv6Error(ICMPV6.DEST_UNREACH, 4),
  "ICMPv6 too big": icmpv6Error(ICMPV6.PKT_TOOBIG, 0, 1280),
  "ICMPv6 time exceeded": icmpv6Error(ICMPV6.TIME_EXCEED, 0),
  "router solicitation": buildPacket(
    link,
    near,
    neighborDiscovery({
      type: ND.ROUTER_SOLICIT,
      options: [{ type: "source-lladdr", lladdr: A }],
    }),
  ),
  "router advertisement": buildPacket(link, near, advertisement),
  "neighbor solicitation": buildPacket(
    link,
    near,
    neighborDiscovery({
      type: ND.NEIGHBOR_SOLICIT,
      target: "fe80::2",
      options: [{ type: "source-lladdr", lladdr: A }],
    }),
  ),
  "neighbor advertisement": buildPacket(
    link,
    near,
    neighborDiscovery({
      type: ND.NEIGHBOR_ADVERT,
      target: "fe80::2",
      solicited: true,
      override: true,
      options: [{ type: "target-lladdr", lladdr: B }],
    }),
  ),
  "IPv6 redirect": buildPacket(
    link,
    near,
    neighborDiscovery({ type: ND.REDIRECT, target: "fe80::3", destination: "fd00::9" }),
  ),
  "DHCP discover": buildPacket(
    link,
    ipv4({ source: "0.0.0.0", destination: "255.255.255.255" }),
    udp({ sourcePort: 68, destinationPort: 67 }),
    discover,
  ),
  "DHCP offer": buildPacket(link, v4, udp({ sourcePort: 67, destinationPort: 68 }), offer),
  "DNS query": dnsFrame({ ...query, recursionDesired: true }),
  "DNS query of two": dnsFrame({
    id: 8,
    questions: [...query.questions, { name: ".", type: 255, class: 3 }],
  }),
  "DNS response": dnsFrame({ ...query, response: true, recursionAvailable: true, answers }),
  "DNS response with other sections": dnsFrame({
    ...query,
    response: true,
    authoritative: true,
    answers: answers.slice(0, 1),
    authorities: answers.slice(3, 4),
    additionals: answers.slice(1, 3),
  }),
  "DNS error": dnsFrame({ ...query, response: true, rcode: 3 }),
  "DNS truncated": dnsFrame({ ...query, response: true, truncated: true, rcode: 2 }),
  "DNS update": dnsFrame({ ...query, opcode: 5, authorities: answers.slice(0, 1) }),
  "DNS with extensions": dnsFrame({
    ...query,
    additionals: [{ name: ".", type: 41, class: 1232, data: { bytes: new Uint8Array() } }],
  }),
  "multicast DNS query": dnsFrame({
    id: 0,
    questions: [
      { name: "_http._tcp.local", type: DNS_TYPE.PTR },
      { name: "a.local", type: DNS_TYPE.A, class: 0x8001 },
    ],
  }, 5353),
  "multicast DNS response": dnsFrame({
    id: 0,
    response: true,
    authoritative: true,
    answers: [{ ...answers[1]!, class: 0x8001 }, answers[8]!],
  }, 5353),
  "VXLAN": buildPacket(
    link,
    v4,
    udp({ sourcePort: 50000, destinationPort: 4789 }),
    vxlan({ vni: 0xabcdef }),
    link,
    v4,
    udp(ports),
    payload,
  ),
  "802.1Q": buildPacket(
    ethernet({ source: A, destination: B, tags: [{ vid: 5, pcp: 3 }] }),
    v4,
    udp(ports),
    payload,
  ),
  "802.1ad": buildPacket(
    ethernet({ source: A, destination: B, tags: [{ protocol: 0x88a8, vid: 5 }, { vid: 6 }] }),
    v6,
    udp(ports),
    payload,
  ),
  "IPv4 options": buildPacket(
    link,
    ipv4({
      source: "10.0.0.1",
      destination: "10.0.0.2",
      options: Uint8Array.of(148, 4, 0, 0, 1, 1, 1, 0),
    }),
    udp(ports),
    payload,
  ),
  "IPv4 first fragment": buildPacket(
    link,
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2", moreFragments: true }),
    udp(ports),
    payload.subarray(0, 96),
  ),
  "IPv4 last fragment": buildPacket(
    link,
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2", fragmentOffset: 104, protocol: 17 }),
    payload,
  ),
  "hop-by-hop options": buildPacket(link, v6, alert, udp(ports), payload),
  "several extension headers": buildPacket(
    link,
    v6,
    alert,
    ipv6Extension({ type: 60, body: Uint8Array.of(1, 4, 0, 0, 0, 0) }),
    ipv6Extension({ type: 51, body: Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 1, 2, 3, 4) }),
    tcp({ ...ports, syn: true }),
  ),
  "IPv6 first fragment": buildPacket(link, v6, fragment(0, 1, 17), udp(ports), payload),
  "IPv6 later fragment": buildPacket(link, v6, fragment(104, 0, 17), payload),
  "IP in IP": buildPacket(link, v4, v4, udp(ports), payload),
  "another protocol": buildPacket(
    link,
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2", protocol: 200 }),
    payload,
  ),
};
