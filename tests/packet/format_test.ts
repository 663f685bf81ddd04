import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  arp,
  buildPacket,
  dhcp,
  ethernet,
  format,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  ipv6Extension,
  LINKTYPE,
  neighborDiscovery,
  tcp,
  udp,
  vxlan,
} from "../../src/packet/mod.ts";
import { test } from "../leaks.ts";
import { SAMPLES } from "./samples.ts";
import { tcpdump } from "./tcpdump.ts";

/** tcpdump's lines without its double spaces, and with a tunnel's packet on the same line. */
function lineOf(frame: Uint8Array): string {
  const text = tcpdump([frame], "ethernet");
  return text.replace("\n", ": ").replace(/: {2}|, {2}/g, (gap) => gap.slice(0, 2));
}

/** Additions to tcpdump's line: the type of a DHCP message, the question of a DNS response. */
const BEYOND: Readonly<Record<string, string>> = {
  "DNS response": ", q: A? www.example.com.",
  "DNS response with other sections": ", q: A? www.example.com.",
  "DNS error": ", q: A? www.example.com.",
  "DNS truncated": ", q: A? www.example.com.",
  "DHCP discover": ", DISCOVER",
  "DHCP offer": ", OFFER, 10.0.0.50",
};

for (const [name, frame] of Object.entries(SAMPLES)) {
  test(`format() prints what tcpdump prints: ${name}`, () => {
    assertEquals(format(frame), lineOf(frame) + (BEYOND[name] ?? ""));
  });
}

test("tcpdump finds every checksum that buildPacket() writes correct", () => {
  const text = tcpdump(Object.values(SAMPLES), "ethernet", "-vv");
  assertEquals(text.match(/\[(wrong|bad)[^\]]*\]|\((incorrect|bad)[^)]*\)/g), null);
  const verified = text.match(/\(correct\)|udp sum ok|icmp6 sum ok/g)!;
  // Those in fragments, tunnels and ICMP errors aside.
  assertEquals(verified.length > 30, true);
});

test("format() prints IP packets as on a TUN", () => {
  const packet = SAMPLES["TCP SYN"]!.subarray(14);
  assertEquals(format(packet, { layer: "ip" }), format(SAMPLES["TCP SYN"]!));
  assertEquals(format(packet, { layer: "ip" }), tcpdump([packet], "ip"));
});

test("format() says where a packet is cut off", () => {
  const frame = SAMPLES["TCP SYN"]!;
  const { length } = frame;
  const lines = new Set(Array.from(frame, (_, i) => format(frame.subarray(0, i), { length })));
  assertEquals([...lines], [
    "[|ether]",
    "[|ip]",
    "IP [|ip]",
    "IP 10.0.0.1 > 10.0.0.2: [|tcp]",
    "IP 10.0.0.1.40000 > 10.0.0.2.9000: [|tcp]",
  ]);
  // Of bytes alone, the wire had no more.
  assertEquals(
    format(frame.subarray(0, 50)),
    "IP truncated-ip - 24 bytes missing! 10.0.0.1.40000 > 10.0.0.2.9000: [|tcp]",
  );
});

const MAC = "02:00:00:00:00:01";
const link = ethernet({ source: MAC, destination: MAC });
const v4 = ipv4({ source: "10.0.0.1", destination: "10.0.0.2" });
const v6 = ipv6({ source: "fd00::1", destination: "fd00::2" });
const ports = { sourcePort: 4000, destinationPort: 9000 };
const payload = new Uint8Array(20);

/** Types that format() leaves to their number, although tcpdump decodes them. */
const ICMP_BY_NUMBER = [9, 10, 15, 16, 17, 18];
const ICMPV6_BY_NUMBER = [
  130,
  131,
  132,
  138,
  139,
  140,
  141,
  142,
  144,
  145,
  146,
  147,
  155,
  200,
  201,
];

test("format() names every code of ICMP as tcpdump does", () => {
  const inner = buildPacket(v4, udp(ports), payload);
  const messages = Array.from({ length: 256 * 20 }, (_, i) => ({
    type: Math.floor(i / 20),
    code: i % 20,
  }))
    .filter(({ type }) => !ICMP_BY_NUMBER.includes(type) && type !== 14);
  const packets = messages.map((message) =>
    buildPacket(v4, icmp({ ...message, rest: 0x0a0b0c0d }), inner)
  );
  const theirs = tcpdump(packets, "ip").split("\n");
  assertEquals(packets.map((packet) => format(packet, { layer: "ip" })), theirs);
});

test("format() names every code of ICMPv6 as tcpdump does", () => {
  const inner = buildPacket(v6, udp(ports), payload);
  const messages = [1, 2, 3, 4, 128, 129].flatMap((type) =>
    Array.from({ length: 10 }, (_, code) => ({ type, code }))
  );
  const packets = messages.map((message) =>
    buildPacket(v6, icmpv6({ ...message, rest: 7 }), inner)
  );
  const text = tcpdump(packets, "ip").replace(/\n\t.*/g, "").replace(/, {2}/g, ", ");
  // Of an unknown code tcpdump prints the bytes in place of the length.
  const ours = packets.map((packet) =>
    format(packet, { layer: "ip" }).replace(/(unreach code \(\d\)).*/, "$1")
  );
  assertEquals(ours, text.split("\n"));
  for (let type = 0; type < 256; type++) {
    const line = format(buildPacket(v6, icmpv6({ type }), inner), { layer: "ip" });
    if (ICMPV6_BY_NUMBER.includes(type)) {
      assert(line.includes(`ICMP6, type-#${type}, length`), line);
    }
  }
});

/** A copy with other bytes at some offsets. */
function changed(packet: Uint8Array, ...changes: [at: number, bytes: number[]][]): Uint8Array {
  const copy = packet.slice();
  for (const [at, bytes] of changes) copy.set(bytes, at);
  return copy;
}

const udp4 = buildPacket(link, v4, udp(ports), payload);
const udp6 = buildPacket(link, v6, udp(ports), payload);
const tcp4 = buildPacket(link, v4, tcp({ ...ports, syn: true, options: [{ mss: 1 }] }), payload);
const request = buildPacket(
  link,
  arp({ senderMac: MAC, senderIp: "10.0.0.1", targetIp: "10.0.0.2" }),
);
const boot = buildPacket(
  link,
  v4,
  udp({ sourcePort: 68, destinationPort: 67 }),
  dhcp({ messageType: 1, transaction: 1, clientMac: MAC }),
);
const noType: [number, number[]] = [42 + 240, [0, 0, 0]];
const ns = buildPacket(
  link,
  v6,
  neighborDiscovery({
    type: 135,
    target: "fe80::3",
    options: [{ type: "source-lladdr", lladdr: MAC }],
  }),
);
const jumbo = ipv6Extension({ type: 0, body: Uint8Array.of(0xc2, 4, 0, 0, 0, 0) });
const large = new Uint8Array(70_000);
const tagged = (type: number) =>
  changed(
    buildPacket(ethernet({ source: MAC, destination: MAC, tags: [{ vid: 5 }] }), v4, udp(ports)),
    [
      12,
      [type >> 8, type & 255],
    ],
  );

/** Impossible headers, and those that are easily taken for others. */
const ODD: Readonly<Record<string, Uint8Array>> = {
  "IPv4 beyond the frame": changed(udp4, [16, [0, 100]]),
  "IPv4 beyond the frame, TCP": changed(tcp4, [16, [0, 200]]),
  "IPv4 shorter than its header": changed(udp4, [16, [0, 10]]),
  "IPv4 header too short": changed(udp4, [14, [0x44]]),
  "IPv4 header too long": changed(udp4.subarray(0, 60), [14, [0x4f]], [16, [0, 46]]),
  "version 5": changed(udp4, [14, [0x55]]),
  "IPv6 by the EtherType of IPv4": changed(udp6, [12, [8, 0]]),
  "IPv4 by the EtherType of IPv6": changed(udp4, [12, [0x86, 0xdd]]),
  "UDP beyond its packet": changed(udp4, [38, [0, 100]]),
  "UDP shorter than its packet": changed(udp4, [38, [0, 20]]),
  "UDP shorter than its header": changed(udp4, [38, [0, 7]]),
  "UDP of length 0": changed(udp4, [38, [0, 0]]),
  "UDP of length 0 over IPv6": changed(udp6, [58, [0, 0]]),
  "UDP cut off": udp4.subarray(0, 38),
  "TCP header too short": changed(tcp4, [46, [0x40]]),
  "TCP header too long": changed(tcp4.subarray(0, 60), [46, [0xf0]], [16, [0, 46]]),
  "TCP cut off": tcp4.subarray(0, 47),
  "IPv6 beyond the frame": changed(udp6, [18, [0, 100]]),
  "nothing behind IPv6": buildPacket(link, v6),
  "padding behind IPv6": buildPacket(link, v6, new Uint8Array(6)),
  "a jumbogram of TCP": buildPacket(link, v6, jumbo, tcp({ ...ports, acknowledgment: 1 }), large),
  "a jumbogram of UDP": buildPacket(link, v6, jumbo, udp(ports), large),
  "tag 0x9100": tagged(0x9100),
  "tag 0x9200": tagged(0x9200),
  "ARP reverse request": changed(request, [21, [3]]),
  "ARP reverse reply": changed(request, [21, [4]]),
  "ARP inverse request": changed(request, [21, [8]]),
  "ARP inverse reply": changed(request, [21, [9]]),
  "RARP": changed(request, [12, [0x80, 0x35]], [21, [3]]),
  "AH over IPv4": buildPacket(
    link,
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2", protocol: 51 }),
    Uint8Array.of(17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, ...new Uint8Array(12)),
    buildPacket(udp(ports)),
  ),
  "ESP": buildPacket(
    link,
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2", protocol: 50 }),
    Uint8Array.of(0, 0, 1, 2, 0, 0, 0, 9, ...payload),
  ),
  "IPv6 in a tunnel for IPv4": buildPacket(
    link,
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2", protocol: 4 }),
    buildPacket(v6, udp(ports)),
  ),
  "ICMPv6 over IPv4": buildPacket(link, v4, icmpv6({ type: 128 })),
  "ICMP over IPv6": buildPacket(link, v6, icmp({ type: 8 })),
  ...Object.fromEntries([0, 2, 3, 255].map((op) => [
    `BOOTP operation ${op}`,
    changed(boot, noType, [
      42,
      [op],
    ]),
  ])),
  "BOOTP of another link": changed(boot, noType, [43, [6]]),
  "BOOTP with another address length": changed(boot, noType, [44, [16]]),
  "BOOTP without magic": changed(boot, [42 + 236, [1, 2, 3, 4]]),
  "DHCP with a bad option": changed(boot, [42 + 240, [12, 200]]),
  "neighbor solicitation with a bad option": changed(ns, [14 + 40 + 25, [0]]),
  "VXLAN without its flag": changed(
    buildPacket(
      link,
      v4,
      udp({ ...ports, destinationPort: 4789 }),
      vxlan({ vni: 5 }),
      link,
      v4,
      udp(ports),
    ),
    [42, [0]],
  ),
};

for (const [name, frame] of Object.entries(ODD)) {
  test(`format() prints what tcpdump prints: ${name}`, () => {
    assertEquals(format(frame), lineOf(frame).replace(/(missing!)(?=\S)/, "$1 "));
  });
}

test("format() reads a length of 0 (BIG TCP) to the end, also in tunnels", () => {
  const segment = [tcp({ ...ports, sequence: 1, acknowledgment: 1 }), new Uint8Array(60_000)];
  const line = "4000 > %.9000: Flags [.], seq 1:60001, ack 1, win 65535, length 60000";
  const of = (source: string, destination: string) => `${source}.${line.replace("%", destination)}`;
  const [inner4, inner6] = [of("10.0.0.1", "10.0.0.2"), of("fd00::1", "fd00::2")];
  const zero = [0, 0];
  const tunnel = [udp({ sourcePort: 5000, destinationPort: 4789 }), vxlan({ vni: 5 }), link];
  const frames: [frame: Uint8Array, line: string][] = [
    [changed(buildPacket(link, v4, ...segment), [16, zero]), `IP ${inner4}`],
    [changed(buildPacket(link, v6, ...segment), [18, zero]), `IP6 ${inner6}`],
    [
      changed(buildPacket(link, v4, v4, ...segment), [16, zero], [36, zero]),
      `IP 10.0.0.1 > 10.0.0.2: IP ${inner4}`,
    ],
    [
      changed(buildPacket(link, v6, v6, ...segment), [18, zero], [58, zero]),
      `IP6 fd00::1 > fd00::2: IP6 ${inner6}`,
    ],
    [
      changed(buildPacket(link, v6, v4, ...segment), [18, zero], [56, zero]),
      `IP6 fd00::1 > fd00::2: IP ${inner4}`,
    ],
    [
      changed(buildPacket(link, v6, ...tunnel, v6, ...segment), [18, zero], [58, zero], [88, zero]),
      `IP6 fd00::1.5000 > fd00::2.4789: VXLAN, flags [I] (0x08), vni 5: IP6 ${inner6}`,
    ],
    [
      changed(buildPacket(link, v4, ...tunnel, v4, ...segment), [16, zero], [38, zero], [66, zero]),
      `IP 10.0.0.1.5000 > 10.0.0.2.4789: VXLAN, flags [I] (0x08), vni 5: IP ${inner4}`,
    ],
  ];
  for (const [frame, expected] of frames) assertEquals(format(frame), expected);
});

test("format() takes the length on the wire from a frame, or from its options", () => {
  const frame = SAMPLES["TCP data"]!;
  const data = frame.subarray(0, 70);
  const wire = { data, length: frame.length, interface: { linkType: LINKTYPE.ETHERNET } };
  assertEquals(format(wire), format(frame));
  assertEquals(format(data, { length: frame.length }), format(frame));
  assertMatch(format(data), /^IP truncated-ip - \d+ bytes missing! /);
  assertThrows(() => format(data, { length: 69 }), RangeError, "length must be in 70..");
  assertThrows(() => format(data, { layr: "ip" } as object), TypeError, 'did you mean "layer"');
  assertThrows(() => format(data, { layer: "IP" as "ip" }), TypeError, 'did you mean "ip"');
});

test("format() formats a frame by its link type", () => {
  const frame = SAMPLES["UDP"]!;
  const [packet, packet6] = [frame.subarray(14), SAMPLES["UDP over IPv6"]!.subarray(14)];
  const line = format(frame);
  const of = (linkType: number, data: Uint8Array) =>
    format({ data, length: data.length, interface: { linkType } });
  assertEquals(of(LINKTYPE.ETHERNET, frame), line);
  assertEquals(of(LINKTYPE.RAW, packet), line);
  assertEquals(of(LINKTYPE.RAW, packet6), format(SAMPLES["UDP over IPv6"]!));
  assertEquals([of(LINKTYPE.IPV4, packet), of(LINKTYPE.IPV6, packet)], [
    line,
    "IP6 version error: 4 != 6",
  ]);
  assertEquals(of(LINKTYPE.LINUX_SLL, Uint8Array.of(...new Uint8Array(14), 8, 0, ...packet)), line);
  assertEquals(
    of(LINKTYPE.LINUX_SLL2, Uint8Array.of(8, 0, ...new Uint8Array(18), ...packet)),
    line,
  );
  assertEquals(of(LINKTYPE.LINUX_SLL2, Uint8Array.of(8, 0)), "[|sll]");
  assertEquals(of(LINKTYPE.USER0, frame), `linktype 147, length ${frame.length}`);
  assertEquals(of(LINKTYPE.RAW, new Uint8Array(9)), "unknown ip 0");
});
