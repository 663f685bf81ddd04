import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4";
import {
  checksumAdd,
  completeChecksum,
  Ipv4,
  Ipv6,
  segment,
  Tcp,
  TCP_FLAG,
  VIRTIO_NET_HDR_GSO,
  VirtioNetHeader,
} from "../../src/packet/mod.ts";
import {
  type Flow,
  flows,
  gsoPacketOf,
  headersOf,
  packetOf,
  packetsIn,
  payloadOf,
  type Position,
  positions,
  slots,
} from "./flows.ts";
import { naiveChecksum } from "./naive.ts";
import { tcpdump } from "./tcpdump.ts";

const output = slots(256);

/** All segments of a packet, or `undefined`. */
function segmentsOf(packet: Uint8Array, linkHeader: number): Uint8Array[] | undefined {
  output.count = 0;
  const left = segment(VirtioNetHeader.parse(packet)!, output, { linkHeader });
  if (left === undefined) return undefined;
  assertEquals(left, 0);
  return packetsIn(output);
}

/** The expected segments, each built on its own. */
function expected(flow: Flow, position: Position, payload: Uint8Array, size: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(payload.length / size));
  return Array.from({ length: count }, (_, i) => {
    let { flags } = position;
    if (i > 0) flags &= ~TCP_FLAG.CWR;
    if (i < count - 1) flags &= ~(TCP_FLAG.FIN | TCP_FLAG.PSH);
    const sequence = (position.sequence + i * size) >>> 0;
    const identification = position.identification + i & 0xffff;
    const part = payload.subarray(i * size, (i + 1) * size);
    return packetOf(flow, { sequence, identification, flags }, part);
  });
}

const sizes = fc.integer({ min: 500, max: 9000 });
const lengths = fc.integer({ min: 1, max: 65_000 });

Deno.test("segment() creates the packets that a kernel without offloads would send", () => {
  fc.assert(fc.property(flows, positions, lengths, sizes, (flow, position, length, size) => {
    const payload = payloadOf(length);
    const packet = gsoPacketOf(flow, position, payload, size);
    const before = packet.slice();
    const segments = segmentsOf(packet, headersOf(flow).link)!;
    const wanted = expected(flow, position, payload, size);
    assertEquals(segments.length, wanted.length);
    for (const [i, bytes] of segments.entries()) assertEquals(bytes, wanted[i]!, `segment ${i}`);
    assertEquals(packet, before);
  }));
});

Deno.test("segment() writes checksums that a naive implementation accepts", () => {
  fc.assert(fc.property(flows, positions, lengths, sizes, (flow, position, length, size) => {
    const packet = gsoPacketOf(flow, position, payloadOf(length), size);
    const { link, transport } = headersOf(flow);
    for (const bytes of segmentsOf(packet, link)!) {
      const part = bytes.subarray(transport);
      const [addresses, protocol] = flow.version === 4
        ? [bytes.subarray(link + 12, link + 20), bytes[link + 9]!]
        : [bytes.subarray(link + 8, link + 40), bytes[link + 6]!];
      const pseudo = [...addresses, 0, protocol, part.length >> 8, part.length & 255];
      assertEquals(naiveChecksum(Uint8Array.of(...pseudo, ...part)), 0);
      if (flow.version === 4) assertEquals(naiveChecksum(bytes.subarray(link, transport)), 0);
    }
  }));
});

const TCP4: Flow = {
  version: 4,
  protocol: "tcp",
  number: 1,
  ttl: 64,
  trafficClass: 0,
  dontFragment: true,
  acknowledgment: 5,
  window: 500,
  options: [],
  framed: false,
};
const START: Position = { sequence: 4294967000, identification: 65_534, flags: TCP_FLAG.PSH };

for (const version of [4, 6] as const) {
  for (const protocol of ["tcp", "udp"] as const) {
    Deno.test(`tcpdump finds segments of ${protocol} over IPv${version} correct`, () => {
      const packet = gsoPacketOf({ ...TCP4, version, protocol }, START, payloadOf(20_001), 1400);
      const text = tcpdump(segmentsOf(packet, 0)!, "ip", "-vv");
      const verdicts = protocol === "udp" ? /\[udp sum ok\]/g : /\(correct\)/g;
      assertEquals(text.match(verdicts)!.length, 15);
      assert(!/bad|incorrect|wrong/.test(text), text);
    });
  }
}

Deno.test("segment() continues after the output was full", () => {
  const packet = gsoPacketOf(TCP4, START, payloadOf(50_000), 700);
  const whole = segmentsOf(packet, 0)!;
  const few = slots(10, 800);
  const parts: Uint8Array[] = [];
  const lefts: number[] = [];
  let left = segment(VirtioNetHeader.parse(packet)!, few);
  for (;;) {
    lefts.push(left!);
    parts.push(...packetsIn(few));
    few.count = 0;
    if (!left) break;
    left = segment(VirtioNetHeader.parse(packet)!, few, { left });
  }
  assertEquals(lefts, [62, 52, 42, 32, 22, 12, 2, 0]);
  assertEquals(parts, whole);
});

Deno.test("segment() leaves room before each packet and keeps the packets in the output", () => {
  const packet = gsoPacketOf(TCP4, START, payloadOf(3000), 1400);
  const whole = segmentsOf(packet, 0)!;
  const roomy = slots(8, 1500);
  for (let i = 0; i < 2; i++) {
    assertEquals(segment(VirtioNetHeader.parse(packet)!, roomy, { headroom: 20 }), 0);
  }
  assertEquals([...roomy.offsets.subarray(0, 6)], [20, 1520, 3020, 4520, 6020, 7520]);
  assertEquals(packetsIn(roomy), [...whole, ...whole]);
});

Deno.test("segment() names the size that slots must have", () => {
  const packet = VirtioNetHeader.parse(gsoPacketOf(TCP4, START, payloadOf(3000), 1400))!;
  const message = "A slot of the output has 1439 bytes: the packet needs 1440";
  assertThrows(() => segment(packet, slots(8, 1439)), RangeError, message);
});

Deno.test("segment() copies a packet that is no GSO packet and completes its checksum", () => {
  for (const length of [0, 1, 1000]) {
    const packet = gsoPacketOf(TCP4, START, payloadOf(length), 1400);
    const wanted = packetOf(TCP4, START, payloadOf(length));
    assertEquals(segmentsOf(packet, 0), [wanted]);
    const header = VirtioNetHeader.parse(packet)!;
    assert(completeChecksum(header));
    assertEquals([packet.subarray(10), header.flags], [wanted, 0]);
    // Nothing to do any more.
    assert(completeChecksum(header));
    assertEquals(segmentsOf(packet, 0), [wanted]);
  }
});

Deno.test("segment() copies no packet into a full output", () => {
  const packet = VirtioNetHeader.parse(gsoPacketOf(TCP4, START, payloadOf(9), 1400))!;
  const one = slots(1, 1500);
  assertEquals([segment(packet, one), segment(packet, one), one.count], [0, 1, 1]);
});

Deno.test("segment() adds nothing when header and packet disagree", () => {
  const valid = gsoPacketOf(TCP4, START, payloadOf(3000), 1400);
  const wrong: [what: string, at: number, value: number][] = [
    ["no NEEDS_CSUM", 0, 0],
    ["IPv6", 1, VIRTIO_NET_HDR_GSO.TCPV6],
    ["UDP", 1, VIRTIO_NET_HDR_GSO.UDP_L4],
    ["UDP fragmentation", 1, VIRTIO_NET_HDR_GSO.UDP],
    ["unknown type", 1, 77],
    ["checksum elsewhere", 8, 6],
    ["another transport header", 6, 24],
    ["transport header outside", 7, 255],
    ["another version", 10, 0x65],
    ["shorter IP header", 10, 0x44],
    ["longer than the memory", 12, 0xff],
    ["shorter than its headers", 12, 0],
    ["another protocol", 19, 17],
    ["TCP header too short", 42, 0x40],
  ];
  for (const [what, at, value] of wrong) {
    const packet = valid.slice();
    packet[at] = value;
    if (at === 12 && value === 0) packet[13] = 30;
    assertEquals(segmentsOf(packet, 0), undefined, what);
    assertEquals(output.count, 0);
  }
  const zero = valid.slice().fill(0, 4, 6);
  assertEquals(segmentsOf(zero, 0), undefined);
});

Deno.test("segment() splits a packet of length 0 (BIG TCP) to its end", () => {
  // BIG TCP: the field is zero.
  for (const version of [4, 6] as const) {
    const packet = gsoPacketOf({ ...TCP4, version }, START, payloadOf(60_000), 1400);
    const bytes = new Uint8Array(packet.length + 20_000);
    bytes.set(packet);
    bytes.fill(0, version === 4 ? 12 : 14, version === 4 ? 14 : 16);
    const segments = segmentsOf(bytes, 0)!;
    assertEquals(segments.length, Math.ceil(80_000 / 1400));
    const last = segments.at(-1)!;
    const ip = version === 4 ? Ipv4.parse(last)! : Ipv6.parse(last)!;
    const part = Tcp.parse(last, ip.payloadStart)!;
    assert(part.checksumValid(ip.pseudoHeaderSum(6, last.length - ip.payloadStart)));
    assertEquals(checksumAdd(last, 0, version === 4 ? 20 : 0), version === 4 ? 0xffff : 0);
  }
});
