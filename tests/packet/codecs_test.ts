import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Arp,
  buildPacket,
  Dhcp,
  DHCP_OPTION,
  Ethernet,
  Icmp,
  Icmpv6,
  IPPROTO,
  Ipv4,
  ipv4,
  Ipv6,
  ipv6,
  ipv6Extension,
  NeighborDiscovery,
  Tcp,
  tcp,
  Udp,
  udp,
  type View,
  VirtioNetHeader,
  Vxlan,
} from "../../src/packet/mod.ts";
import { SAMPLES } from "./samples.ts";

function frame(name: string): Ethernet {
  return Ethernet.parse(SAMPLES[name]!.slice())!;
}

function v4(name: string): Ipv4 {
  const { bytes, payloadStart } = frame(name);
  return Ipv4.parse(bytes, payloadStart)!;
}

function v6(name: string): Ipv6 {
  const { bytes, payloadStart } = frame(name);
  return Ipv6.parse(bytes, payloadStart)!;
}

/** Sets each property, and looks whether it and nothing else has the value. */
function assertSettable<T extends View>(view: T, values: Partial<T>): void {
  for (const [name, value] of Object.entries(values) as [keyof T, T[keyof T]][]) {
    const names = Object.keys(values) as (keyof T)[];
    const before = names.filter((other) => other !== name).map((other) => view[other]);
    view[name] = value;
    assertEquals(view[name], value, String(name));
    assertEquals(names.filter((other) => other !== name).map((other) => view[other]), before);
  }
}

Deno.test("Ethernet reads and writes addresses, types and tags", () => {
  const tagged = frame("802.1ad");
  assertEquals(tagged.tags.map(({ protocol, vid }) => [protocol, vid]), [[0x88a8, 5], [0x8100, 6]]);
  assertEquals(tagged.etherType, 0x86dd);
  assertEquals(frame("802.1Q").tags, [{ protocol: 0x8100, vid: 5, pcp: 3, dei: false }]);
  assertSettable(tagged, {
    destination: "ff:ff:ff:ff:ff:ff",
    source: "02:00:00:00:00:09",
    vid: 4095,
    etherType: 0x1234,
  });
  assertEquals([tagged.destinationNumber, tagged.multicast], [0xffffffffffff, true]);
  tagged.swapAddresses();
  assertEquals(tagged.destinationNumber, 0x020000000009);
  assertEquals(frame("UDP").vid, undefined);
});

Deno.test("Arp reads and writes its addresses", () => {
  const message = Arp.parse(SAMPLES["ARP reply"]!.slice(), 14)!;
  assertSettable(message, {
    operation: 1,
    senderMac: "02:00:00:00:00:0a",
    senderIp: "1.2.3.4",
    targetMac: "02:00:00:00:00:0b",
    targetIp: "5.6.7.8",
  });
  message.swapSenderAndTarget();
  assertEquals([message.senderMac, message.senderIp], ["02:00:00:00:00:0b", "5.6.7.8"]);
  assertEquals([message.targetMac, message.targetIp], ["02:00:00:00:00:0a", "1.2.3.4"]);
});

Deno.test("Ipv4 reads and writes its fields", () => {
  const packet = v4("UDP");
  assertSettable(packet, {
    dscp: 46,
    ecn: 3,
    totalLength: 100,
    identification: 65535,
    dontFragment: true,
    ttl: 255,
    protocol: 6,
    source: "1.2.3.4",
    destination: "255.254.253.252",
  });
  assertEquals(packet.destinationNumber, 0xfffefdfc);
  assert(!packet.checksumValid);
  packet.updateChecksum();
  assert(packet.checksumValid);
  packet.swapAddresses();
  assert(packet.checksumValid);
});

Deno.test("Ipv4 reads options and fragments", () => {
  assertEquals(v4("IPv4 options").options!.map(({ type }) => type), [148, 1, 1, 1, 0]);
  const fragment = v4("IPv4 last fragment");
  assertEquals([fragment.isFragment, fragment.fragmentOffset], [true, 104]);
  assertEquals([fragment.moreFragments, v4("IPv4 first fragment").moreFragments], [false, true]);
});

Deno.test("Ipv4 clamps its payload to the memory, and to its own length", () => {
  const bytes = buildPacket(
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
    new Uint8Array(50),
  );
  assertEquals(Ipv4.parse(bytes, 0, 40)!.payloadEnd, 40);
  assertEquals(Ipv4.parse(new Uint8Array([...bytes, 0, 0]))!.payloadEnd, 70);
});

Deno.test("Ipv6 reads and writes its fields", () => {
  assertSettable(v6("UDP over IPv6"), {
    dscp: 46,
    ecn: 3,
    flowLabel: 0xfffff,
    payloadLength: 100,
    hopLimit: 255,
    source: "2001:db8::1",
    destination: "2001:db8::2",
  });
});

Deno.test("Ipv6 follows its extension headers", () => {
  const packet = v6("several extension headers");
  assertEquals([packet.nextHeader, packet.protocol], [IPPROTO.HOPOPTS, IPPROTO.TCP]);
  const extensions = packet.extensions;
  assertEquals(extensions.map(({ type }) => type), [0, 60, 51]);
  assertEquals(extensions[0]!.options!.map(({ type }) => type), [5, 1]);
  assertEquals(extensions[2]!.spi, 0x100);
  assert(Tcp.parse(packet.bytes, packet.payloadStart, packet.payloadEnd)!.syn);
  const routed = Ipv6.parse(buildPacket(
    ipv6({ source: "fd00::1", destination: "fd00::2" }),
    ipv6Extension({ type: 43, body: Uint8Array.of(4, 1, ...new Uint8Array(20)) }),
    udp({ sourcePort: 1, destinationPort: 2 }),
  ))!;
  const [{ routingType, segmentsLeft }] = routed.extensions as [Ipv6["extensions"][number]];
  assertEquals([routingType, segmentsLeft, routed.protocol], [4, 1, IPPROTO.UDP]);
});

Deno.test("Ipv6 stops at a fragment that is not the first", () => {
  const [first, later] = [v6("IPv6 first fragment"), v6("IPv6 later fragment")];
  assertEquals([first.isFragment, first.fragmentOffset, first.moreFragments], [true, 0, true]);
  assertEquals([later.isFragment, later.fragmentOffset, later.moreFragments], [true, 104, false]);
  assertEquals(later.extensions[0]!.identification, 9);
});

Deno.test("Icmp and Icmpv6 read and write their fields", () => {
  for (
    const message of [
      Icmp.parse(SAMPLES["ICMP echo"]!.slice(), 34)!,
      Icmpv6.parse(SAMPLES["ICMPv6 echo"]!.slice(), 54)!,
    ]
  ) {
    assertSettable(message, { type: 3, code: 1, identifier: 65535, sequence: 4, checksum: 1 });
    message.rest = 0xfffefdfc;
    assertEquals([message.identifier, message.sequence], [0xfffe, 0xfdfc]);
  }
});

Deno.test("Icmpv6 computes its checksum over the addresses", () => {
  const packet = v6("ICMPv6 echo");
  const message = Icmpv6.parse(packet.bytes, packet.payloadStart, packet.payloadEnd)!;
  const sum = packet.pseudoHeaderSum(IPPROTO.ICMPV6, message.end - message.start);
  assert(message.checksumValid(sum));
  message.sequence++;
  assert(!message.checksumValid(sum));
  message.updateChecksum(sum);
  assert(message.checksumValid(sum));
});

Deno.test("NeighborDiscovery reads advertisements with all their options", () => {
  const message = NeighborDiscovery.parse(SAMPLES["router advertisement"]!, 54)!;
  assertEquals([message.hopLimit, message.managed, message.other], [64, true, false]);
  assertEquals([message.routerLifetime, message.reachableTime, message.retransTimer], [1800, 0, 0]);
  assertEquals(message.options, [
    { type: "source-lladdr", lladdr: "02:00:00:00:00:01" },
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
  ]);
  const neighbor = NeighborDiscovery.parse(SAMPLES["neighbor advertisement"]!.slice(), 54)!;
  assertEquals([neighbor.router, neighbor.solicited, neighbor.override], [false, true, true]);
  assertEquals([neighbor.managed, neighbor.hopLimit], [undefined, undefined]);
  neighbor.target = "fe80::9";
  assertEquals(neighbor.target, "fe80::9");
});

Deno.test("NeighborDiscovery keeps its target whatever its options are", () => {
  for (const length of [0, 2, 255]) {
    const bytes = SAMPLES["neighbor solicitation"]!.slice(54);
    assert(NeighborDiscovery.parse(bytes)!.optionsValid);
    bytes[25] = length;
    const message = NeighborDiscovery.parse(bytes)!;
    assertEquals([message.target, message.options, message.optionsValid], ["fe80::2", [], false]);
  }
});

/** Each view, and the largest number of every field that can be written. */
const FIELDS: readonly [view: View, most: Readonly<Record<string, number>>][] = [
  [frame("802.1Q"), { vid: 0xfff, etherType: 0xffff }],
  [Arp.parse(SAMPLES["ARP reply"]!.slice(), 14)!, { operation: 0xffff }],
  [v4("UDP"), {
    dscp: 63,
    ecn: 3,
    totalLength: 0xffff,
    identification: 0xffff,
    ttl: 255,
    protocol: 255,
    checksum: 0xffff,
  }],
  [v6("UDP over IPv6"), {
    trafficClass: 255,
    dscp: 63,
    ecn: 3,
    flowLabel: 0xfffff,
    payloadLength: 0xffff,
    hopLimit: 255,
  }],
  ...[Icmp, Icmpv6].map((view): [View, Record<string, number>] => [
    view.parse(new Uint8Array(8))!,
    {
      type: 255,
      code: 255,
      checksum: 0xffff,
      identifier: 0xffff,
      sequence: 0xffff,
      rest: 0xffff_ffff,
    },
  ]),
  [Udp.parse(SAMPLES["UDP"]!.slice(), 34)!, {
    sourcePort: 0xffff,
    destinationPort: 0xffff,
    length: 0xffff,
    checksum: 0xffff,
  }],
  [Tcp.parse(SAMPLES["TCP SYN"]!.slice(), 34)!, {
    sourcePort: 0xffff,
    destinationPort: 0xffff,
    sequence: 0xffff_ffff,
    acknowledgment: 0xffff_ffff,
    flags: 0xfff,
    window: 0xffff,
    checksum: 0xffff,
    mss: 0xffff,
  }],
  [Vxlan.parse(SAMPLES["VXLAN"]!.slice(), 42)!, { vni: 0xffffff }],
  [VirtioNetHeader.parse(new Uint8Array(10))!, {
    flags: 255,
    gsoType: 255,
    headerLength: 0xffff,
    gsoSize: 0xffff,
    checksumStart: 0xffff,
    checksumOffset: 0xffff,
  }],
];

Deno.test("Setters refuse numbers that a field cannot hold, and write nothing", () => {
  for (const [view, fields] of FIELDS) {
    const target = view as unknown as Record<string, number>;
    for (const [name, most] of Object.entries(fields)) {
      const before = view.bytes.slice();
      for (const value of [-1, most + 1, 2 ** 40]) {
        const message = `${name} must be in 0..${most}: got ${value}`;
        assertThrows(() => target[name] = value, RangeError, message);
      }
      assertThrows(() => target[name] = NaN, TypeError, `${name} must be an integer: got NaN`);
      assertEquals(view.bytes, before, name);
      target[name] = most;
      assertEquals(target[name], most, name);
    }
  }
});

Deno.test("Udp and Tcp read and write their fields", () => {
  assertSettable(Udp.parse(SAMPLES["UDP"]!.slice(), 34)!, {
    sourcePort: 65535,
    destinationPort: 1,
    length: 9,
    checksum: 0xabcd,
  });
  const segment = Tcp.parse(SAMPLES["TCP data"]!.slice(), 34)!;
  assertSettable(segment, {
    sourcePort: 65535,
    destinationPort: 1,
    sequence: 4294967295,
    acknowledgment: 4294967294,
    flags: 0x111,
    window: 1,
    checksum: 0xabcd,
  });
  assertEquals([segment.fin, segment.psh, segment.ack, segment.headerLength], [
    true,
    false,
    true,
    32,
  ]);
  assertEquals(segment.options, [{ nop: true }, { nop: true }, { timestamp: 1, echo: 2 }]);
});

Deno.test("Udp writes the checksum 0 as 0xffff", () => {
  const packet = v4("empty UDP");
  const datagram = Udp.parse(packet.bytes, packet.payloadStart, packet.payloadEnd)!;
  const sum = packet.pseudoHeaderSum(IPPROTO.UDP, 8);
  datagram.sourcePort = 0;
  datagram.updateChecksum(sum);
  // The port that makes the sum all ones.
  datagram.sourcePort = datagram.checksum;
  datagram.updateChecksum(sum);
  assertEquals(datagram.checksum, 0xffff);
  assert(datagram.checksumValid(sum));
});

Deno.test("Tcp sets the maximum segment size of a segment with that option", () => {
  const segment = Tcp.parse(SAMPLES["TCP SYN"]!.slice(), 34)!;
  segment.mss = 1200;
  assertEquals(segment.options![0], { mss: 1200 });
  assertEquals(Tcp.parse(SAMPLES["TCP data"]!, 34)!.mss, undefined);
});

Deno.test("Tcp keeps options of an unexpected length and refuses those without an end", () => {
  const odd = { kind: 2, value: Uint8Array.of(1) };
  const ports = { sourcePort: 1, destinationPort: 2 };
  const bytes = buildPacket(tcp({ ...ports, options: [odd, { nop: true }] }));
  assertEquals(Tcp.parse(bytes)!.options, [odd, { nop: true }]);
  bytes[21] = 5;
  assertEquals(Tcp.parse(bytes)!.options, undefined);
  bytes[21] = 0;
  assertEquals(Tcp.parse(bytes)!.options, undefined);
  assertThrows(
    () => tcp({ ...ports, options: [{ kind: 9, value: new Uint8Array(39) }] }),
    RangeError,
    "41",
  );
});

Deno.test("Dhcp reads its fields and options", () => {
  const message = Dhcp.parse(SAMPLES["DHCP offer"]!, 42)!;
  assertEquals([message.op, message.messageType, message.transaction], [2, 2, 0x12345678]);
  assertEquals([message.yourAddress, message.clientMac], ["10.0.0.50", "02:00:00:00:00:01"]);
  assertEquals(message.addresses(DHCP_OPTION.ROUTER), ["10.0.0.1", "10.0.0.254"]);
  assertEquals(message.option(DHCP_OPTION.LEASE_TIME), Uint8Array.of(0, 0, 14, 16));
  assertEquals([message.option(99), message.addresses(99)], [undefined, []]);
  assertEquals(Dhcp.parse(SAMPLES["DHCP discover"]!, 42)!.broadcast, true);
});

Deno.test("Vxlan reads and writes the network identifier", () => {
  const header = Vxlan.parse(SAMPLES["VXLAN"]!.slice(), 42)!;
  assertEquals([header.flags, header.vni], [8, 0xabcdef]);
  assertSettable(header, { vni: 0xffffff });
});

Deno.test("Addresses of the wrong family are refused, and nothing is written", () => {
  const packet = v4("UDP");
  const before = packet.bytes.slice();
  assertThrows(() => packet.source = "fd00::1", TypeError, '"fd00::1" is not an IPv4 address');
  assertThrows(() => v6("UDP over IPv6").source = "10.0.0.1", TypeError, "not an IPv6 address");
  assertEquals(packet.bytes, before);
});
