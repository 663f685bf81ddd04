// Checksums of packets whose destination or source on the wire is not the final one, beside tshark.
import { assert, assertEquals } from "@std/assert";
import {
  buildPacket,
  type Carrier,
  ethernet,
  Icmpv6,
  icmpv6,
  Ipv4,
  ipv4,
  Ipv6,
  ipv6,
  ipv6Extension,
  type Layer,
  parseIp,
  segment,
  Tcp,
  tcp,
  Udp,
  udp,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  VirtioNetHeader,
} from "../../src/packet/mod.ts";
import { packetsIn, payloadOf, slots } from "./flows.ts";
import { tsharkTest, verdicts } from "./tshark.ts";

const ports = { sourcePort: 4000, destinationPort: 9000 };
const bytesOf = (...addresses: string[]) => addresses.flatMap((text) => [...parseIp(text)]);
const option = (type: number, value: number[]) => [type, value.length, ...value];
const PADN = option(1, [0, 0]);

const routing = (...body: number[]) => ipv6Extension({ type: 43, body: Uint8Array.of(...body) });
const options = (type: number, ...body: number[]) =>
  ipv6Extension({ type, body: Uint8Array.of(...body) });

/** Extension headers, and whether addresses of theirs count. */
const EXTENSIONS: Readonly<Record<string, readonly Layer[]>> = {
  "type 0": [routing(0, 2, 0, 0, 0, 0, ...bytesOf("fd00::8", "fd00::9"))],
  "type 0, its last node": [routing(0, 0, 0, 0, 0, 0, ...bytesOf("fd00::8", "fd00::9"))],
  "type 2": [routing(2, 1, 0, 0, 0, 0, ...bytesOf("fd00::9"))],
  "RPL with 8 bytes of each address": [
    routing(3, 2, 0x88, 0, 0, 0, ...[0, 0, 0, 0, 0, 0, 0, 8], ...[0, 0, 0, 0, 0, 0, 0, 9]),
  ],
  "RPL with 3 bytes of each address": [
    routing(3, 2, 0xdd, 0x20, 0, 0, ...[0, 0, 8], ...[0, 0, 9], 0, 0),
  ],
  "RPL with whole addresses": [routing(3, 1, 0, 0, 0, 0, ...bytesOf("2001:db8::9"))],
  "segment routing": [routing(4, 1, 1, 0, 0, 0, ...bytesOf("2001:db8::9", "fd00::8"))],
  "segment routing, reduced": [routing(4, 1, 0, 0, 0, 0, ...bytesOf("2001:db8::9"))],
  "segment routing, its last node": [routing(4, 0, 1, 0, 0, 0, ...bytesOf("fd00::9", "fd00::8"))],
  "segment routing behind hop-by-hop options": [
    options(0, ...option(5, [0, 0])),
    routing(4, 2, 2, 0, 0, 0, ...bytesOf("fd00::9", "fd00::8", "fd00::7")),
  ],
  "home address": [options(60, ...PADN, ...option(201, bytesOf("2001:db8::7")))],
  "home address behind a route": [
    routing(2, 1, 0, 0, 0, 0, ...bytesOf("fd00::9")),
    options(60, ...PADN, ...option(201, bytesOf("2001:db8::7"))),
  ],
};

const TRANSPORTS = {
  udp: [udp(ports), (bytes: Uint8Array, at: number) => Udp.parse(bytes, at)],
  tcp: [tcp({ ...ports, syn: true }), (bytes: Uint8Array, at: number) => Tcp.parse(bytes, at)],
  icmpv6: [icmpv6({ type: 128 }), (bytes: Uint8Array, at: number) => Icmpv6.parse(bytes, at)],
} as const;

const v6 = ipv6({ source: "fd00::1", destination: "fd00::2" });

/** Each kind of extension header before each kind of upper layer. */
function* routed(): Generator<
  { name: string; bytes: Uint8Array; protocol: keyof typeof TRANSPORTS }
> {
  for (const [name, headers] of Object.entries(EXTENSIONS)) {
    for (const protocol of ["udp", "tcp", "icmpv6"] as const) {
      const bytes = buildPacket(v6, ...headers, TRANSPORTS[protocol][0], payloadOf(31));
      yield { name, bytes, protocol };
    }
  }
}

/** IPv4 source routes: type, pointer, and what is before. */
function* sourceRouted(): Generator<{ name: string; bytes: Uint8Array; protocol: "udp" | "tcp" }> {
  for (const type of [131, 137]) {
    for (const pointer of [4, 8, 12]) {
      for (const before of [[], [1], [7, 7, 4, 0, 0, 0, 0]]) {
        const route = [type, 11, pointer, ...bytesOf("10.0.0.8", "10.0.0.9")];
        const list = [...before, ...route];
        const padded = Uint8Array.of(...list, ...Array(-list.length & 3).fill(0));
        const ip = ipv4({ source: "10.0.0.1", destination: "10.0.0.2", options: padded });
        for (const protocol of ["udp", "tcp"] as const) {
          const name = `option ${type} with pointer ${pointer} behind ${before.length} bytes`;
          yield { name, bytes: buildPacket(ip, TRANSPORTS[protocol][0], payloadOf(31)), protocol };
        }
      }
    }
  }
}

tsharkTest("buildPacket() writes checksums over the final addresses, as tshark finds", () => {
  const packets = [...routed(), ...sourceRouted()];
  const found = verdicts(packets.map(({ bytes }) => bytes), "ip");
  packets.forEach(({ name, protocol }, i) =>
    assertEquals(found[i], "good", `${protocol}, ${name}`)
  );
});

Deno.test("checksumValid() and updateChecksum() use the final addresses", () => {
  for (const { name, bytes, protocol } of [...routed(), ...sourceRouted()]) {
    const packet = (bytes[0]! >> 4 === 4 ? Ipv4 : Ipv6).parse(bytes)!;
    const part = TRANSPORTS[protocol][1](bytes, packet.payloadStart)!;
    const sum = packet.pseudoHeaderSum(packet.protocol, part.end - part.start);
    assert(part.checksumValid(packet) && part.checksumValid(sum), name);
    const { checksum } = part;
    part.checksum ^= 0x1000;
    assert(!part.checksumValid(packet), name);
    part.updateChecksum(packet);
    assertEquals(part.checksum, checksum, name);
  }
});

Deno.test("A UDP checksum of 0 is right over IPv4 and wrong over IPv6", () => {
  const carriers: (Layer | [Layer, Layer])[] = [
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
    v6,
    [v6, routing(4, 1, 0, 0, 0, 0, ...bytesOf("fd00::9"))],
  ];
  for (const [i, carrier] of carriers.entries()) {
    const bytes = buildPacket(...[carrier].flat(), udp(ports), payloadOf(9));
    const packet: Carrier & { payloadStart: number } = (i === 0 ? Ipv4 : Ipv6).parse(bytes)!;
    const datagram = Udp.parse(bytes, packet.payloadStart)!;
    assert(datagram.checksumValid(packet));
    datagram.checksum = 0;
    assertEquals(datagram.checksumValid(packet), i === 0);
  }
});

tsharkTest("tshark agrees on a UDP checksum of 0", () => {
  const packets = [ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }), v6].map((ip, i) => {
    const bytes = buildPacket(ip, udp(ports), payloadOf(9));
    return bytes.fill(0, i === 0 ? 26 : 46, i === 0 ? 28 : 48);
  });
  assertEquals(verdicts(packets, "ip"), ["not present", "illegal"]);
});

/** A GSO packet with these headers, as a device with `IFF_VNET_HDR` reads it. */
function gso(
  headers: readonly Layer[],
  transport: "tcp" | "udp",
  framed: boolean,
): VirtioNetHeader {
  const link = ethernet({ source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02" });
  const layers = framed ? [link, ...headers] : headers;
  const packet = buildPacket(...layers, TRANSPORTS[transport][0], payloadOf(5001));
  const bytes = new Uint8Array(10 + packet.length);
  bytes.set(packet, 10);
  const header = VirtioNetHeader.parse(bytes)!;
  const v4 = packet[framed ? 14 : 0]! >> 4 === 4;
  const { TCPV4, TCPV6, UDP_L4 } = VIRTIO_NET_HDR_GSO;
  header.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
  header.gsoType = transport === "udp" ? UDP_L4 : v4 ? TCPV4 : TCPV6;
  header.gsoSize = 1000;
  header.checksumStart = layers.reduce((sum, { size }) => sum + size, 0);
  header.checksumOffset = transport === "udp" ? 6 : 16;
  return header;
}

tsharkTest("segment() writes checksums over the final addresses, as tshark finds", () => {
  const output = slots(64, 2000);
  const route = Uint8Array.of(131, 7, 4, ...bytesOf("10.0.0.9"), 0);
  const chains = [
    ...Object.entries(EXTENSIONS).map(([name, headers]) => ({ name, headers: [v6, ...headers] })),
    {
      name: "source route",
      headers: [ipv4({ source: "10.0.0.1", destination: "10.0.0.2", options: route })],
    },
  ];
  const packets = { ip: [] as Uint8Array[], ethernet: [] as Uint8Array[] };
  const names: string[] = [];
  for (const { name, headers } of chains) {
    for (const transport of ["tcp", "udp"] as const) {
      for (const framed of [false, true]) {
        output.count = 0;
        const linkHeader = framed ? 14 : 0;
        assertEquals(segment(gso(headers, transport, framed), output, { linkHeader }), 0, name);
        assertEquals(output.count, 6);
        packets[framed ? "ethernet" : "ip"].push(...packetsIn(output));
        if (framed) names.push(...Array(6).fill(`${transport}, ${name}`));
      }
    }
  }
  for (const layer of ["ip", "ethernet"] as const) {
    const found = verdicts(packets[layer], layer);
    names.forEach((name, i) => assertEquals(found[i], "good", `segment ${i % 6} of ${name}`));
  }
});
