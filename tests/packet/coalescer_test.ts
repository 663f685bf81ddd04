import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4";
import {
  buildPacket,
  Coalescer,
  ethernet,
  Ipv4,
  ipv4,
  ipv6,
  ipv6Extension,
  segment,
  TCP_FLAG,
  udp,
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

const wire = slots(256);
const output = slots(256);

/** The output of a Coalescer for packets. */
function coalesce(packets: readonly Uint8Array[], linkHeader = 0): Uint8Array[] {
  const coalescer = new Coalescer(output, { linkHeader });
  coalescer.clear();
  for (const packet of packets) assert(coalescer.add(packet));
  return packetsIn(output);
}

/** Segment sizes of the written packets; 0 for those that are no GSO packets. */
function sizesOf(packets: readonly Uint8Array[]): number[] {
  return packets.map((packet) => VirtioNetHeader.parse(packet)!.gsoSize);
}

/** The packets on the wire that a kernel creates from the written ones. */
function onTheWire(packets: readonly Uint8Array[], linkHeader: number): Uint8Array[] {
  return packets.flatMap((packet) => {
    wire.count = 0;
    assertEquals(segment(VirtioNetHeader.parse(packet)!, wire, { linkHeader }), 0);
    return packetsIn(wire);
  });
}

const TCP: Flow = {
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
const UDP: Flow = { ...TCP, protocol: "udp" };
const START: Position = { sequence: 4294967000, identification: 65_534, flags: 0 };

/** Packets of a flow that follow each other. */
function run(flow: Flow, lengths: readonly number[], start = START): Uint8Array[] {
  let { sequence } = start;
  return lengths.map((length, i) => {
    const identification = start.identification + i & 0xffff;
    const packet = packetOf(
      flow,
      { ...start, sequence, identification },
      payloadOf(length, sequence),
    );
    sequence = (sequence + length) >>> 0;
    return packet;
  });
}

Deno.test("Coalescer merges the segments of segment() into the same bytes", () => {
  const lengths = fc.integer({ min: 1, max: 65_000 });
  const sizes = fc.integer({ min: 1100, max: 9000 });
  fc.assert(fc.property(flows, positions, lengths, sizes, (flow, position, length, size) => {
    const { link } = headersOf(flow);
    const packet = gsoPacketOf(flow, position, payloadOf(length), size);
    wire.count = 0;
    assertEquals(segment(VirtioNetHeader.parse(packet)!, wire, { linkHeader: link }), 0);
    const segments = packetsIn(wire);
    const merged = coalesce(segments, link);
    // A segment with CWR stays alone.
    const alone = flow.protocol === "tcp" && (position.flags & TCP_FLAG.CWR) !== 0;
    if (segments.length === 1 || alone) {
      assertEquals(merged[0], Uint8Array.of(...new Uint8Array(10), ...segments[0]!));
      assertEquals(onTheWire(merged, link), segments);
      assertEquals(merged.length, Math.min(segments.length, 2));
    } else assertEquals(merged, [packet]);
  }));
});

/** A packet of one of few flows, mostly where the last one ended. */
interface Step {
  readonly flow: number;
  readonly length: number;
  readonly flags: number;
  readonly change:
    | "none"
    | "ttl"
    | "class"
    | "ack"
    | "window"
    | "options"
    | "gap"
    | "id"
    | "corrupt";
  readonly kind: "data" | "fragment" | "options" | "extension";
}

const steps: fc.Arbitrary<Step> = fc.record({
  flow: fc.nat({ max: 4 }),
  length: fc.constantFrom(0, 100, 1000, 1000, 1000, 1000, 1000, 1000),
  flags: fc.constantFrom(0, 0, 0, 0, 0, TCP_FLAG.PSH, TCP_FLAG.FIN, TCP_FLAG.SYN, TCP_FLAG.CWR),
  change: fc.oneof({ arbitrary: fc.constant("none" as const), weight: 9 }, {
    arbitrary: fc.constantFrom(
      "ttl" as const,
      "class" as const,
      "ack" as const,
      "window" as const,
      "options" as const,
      "gap" as const,
      "id" as const,
      "corrupt" as const,
    ),
    weight: 1,
  }),
  kind: fc.oneof({ arbitrary: fc.constant("data" as const), weight: 15 }, {
    arbitrary: fc.constantFrom("fragment" as const, "options" as const, "extension" as const),
    weight: 1,
  }),
});

/** Builds the packets of a mix of flows. */
function mix(list: readonly Step[]): { flow: number; packet: Uint8Array }[] {
  const state = Array.from({ length: 5 }, (_, number) => ({
    flow: {
      ...TCP,
      number,
      version: number % 2 ? 6 as const : 4 as const,
      protocol: number < 3 ? "tcp" as const : "udp" as const,
      dontFragment: number !== 2,
    } as Flow,
    sequence: 0xffffff00,
    identification: 0xfff0,
  }));
  return list.map(({ flow: number, length, flags, change, kind }) => {
    const it = state[number]!;
    if (change === "ttl") it.flow = { ...it.flow, ttl: it.flow.ttl ^ 1 };
    if (change === "class") it.flow = { ...it.flow, trafficClass: it.flow.trafficClass ^ 4 };
    if (change === "ack") it.flow = { ...it.flow, acknowledgment: it.flow.acknowledgment + 1 };
    if (change === "window") it.flow = { ...it.flow, window: it.flow.window + 1 };
    if (change === "options") {
      it.flow = { ...it.flow, options: [{ nop: true }, { nop: true }, { timestamp: 1, echo: 2 }] };
    }
    if (change === "gap") it.sequence += 7;
    if (change === "id") it.identification += 3;
    const { sequence, identification } = it;
    const position = { sequence: sequence >>> 0, identification: identification & 0xffff, flags };
    let packet = packetOf(it.flow, position, payloadOf(length, sequence));
    it.sequence += length;
    it.identification++;
    if (change === "corrupt") packet[packet.length - 1]! ^= 1;
    if (kind !== "data") packet = unusual(kind, number, packet);
    return { flow: number, packet };
  });
}

/** A packet of the flow that is never merged, with the same bytes behind its header. */
function unusual(kind: Step["kind"], number: number, packet: Uint8Array): Uint8Array<ArrayBuffer> {
  const v4 = packet[0]! >> 4 === 4;
  const protocol = packet[v4 ? 9 : 6]!;
  const payload = packet.subarray(v4 ? 20 : 40);
  if (!v4) {
    return buildPacket(
      ipv6({ source: `fd00::${number + 1}`, destination: `fd01::${number + 1}` }),
      ipv6Extension({ type: 60, body: new Uint8Array(6), nextHeader: protocol }),
      payload,
    );
  }
  const addresses = { source: `10.0.0.${number}`, destination: `10.0.1.${number}`, protocol };
  const header = kind === "options"
    ? ipv4({ ...addresses, options: Uint8Array.of(1, 1, 1, 1) })
    : ipv4({ ...addresses, fragmentOffset: 1480 });
  return buildPacket(header, payload);
}

Deno.test("Coalescer keeps the packets of each flow and their order", () => {
  let merged = 0;
  fc.assert(
    fc.property(fc.array(steps, { minLength: 1, maxLength: 150, size: "max" }), (list) => {
      const packets = mix(list);
      const written = coalesce(packets.map(({ packet }) => packet));
      merged += packets.length - written.length;
      const sent = onTheWire(written, 0);
      assertEquals(sent.length, packets.length);
      const flowOf = (packet: Uint8Array) => packet[0]! >> 4 === 4 ? packet[15]! : packet[23]! - 1;
      for (let number = 0; number < 5; number++) {
        const wanted = packets.filter(({ flow }) => flow === number).map(({ packet }) => packet);
        assertEquals(sent.filter((packet) => flowOf(packet) === number), wanted);
      }
    }),
    { numRuns: 100 },
  );
  assert(merged > 500, `only ${merged} were merged`);
});

Deno.test("Coalescer ends a packet with a shorter segment and begins another with a longer one", () => {
  for (const flow of [TCP, UDP]) {
    assertEquals(sizesOf(coalesce(run(flow, [1000, 1000, 300, 1000, 1000]))), [1000, 1000]);
    assertEquals(sizesOf(coalesce(run(flow, [300, 1000, 1000]))), [0, 1000]);
  }
});

Deno.test("Coalescer ends a packet with PSH or FIN and begins none with them", () => {
  for (const flags of [TCP_FLAG.PSH, TCP_FLAG.FIN, TCP_FLAG.PSH | TCP_FLAG.FIN]) {
    const packets = run(TCP, [1000, 1000, 1000, 1000, 1000]);
    packets[2] = run(TCP, [1000, 1000, 1000], { ...START, flags })[2]!;
    const merged = coalesce(packets);
    assertEquals(sizesOf(merged), [1000, 1000]);
    assertEquals(merged[0]![10 + 33]! & 0xef, flags);
    assertEquals(coalesce(run(TCP, [1000, 1000], { ...START, flags })).length, 2);
  }
});

Deno.test("Coalescer merges nothing behind or before a segment with CWR", () => {
  const cwr = { ...START, flags: TCP_FLAG.CWR };
  const plain = run(TCP, [1000, 1000, 1000, 1000, 1000]);
  for (const at of [0, 2, 4]) {
    const packets = plain.with(at, run(TCP, Array(5).fill(1000), cwr)[at]!);
    const merged = coalesce(packets);
    assertEquals(merged.length, at === 2 ? 3 : 2);
    assertEquals(onTheWire(merged, 0), packets);
    assertEquals(merged.map(([, type]) => type! & VIRTIO_NET_HDR_GSO.ECN), merged.map(() => 0));
  }
  assertEquals(coalesce(run(TCP, [1000, 1000], cwr)).length, 2);
});

Deno.test("Coalescer passes pure acknowledgments, SYN and RST unchanged", () => {
  assertEquals(coalesce(run(TCP, [0, 0, 0])).length, 3);
  for (const flags of [TCP_FLAG.SYN, TCP_FLAG.RST, TCP_FLAG.URG]) {
    assertEquals(coalesce(run(TCP, [1000, 1000], { ...START, flags })).length, 2);
  }
});

Deno.test("Coalescer merges no packets with different headers", () => {
  const [first] = run(TCP, [1000, 1000]);
  const change: Record<string, Partial<Flow>> = {
    TTL: { ttl: 63 },
    "type of service": { trafficClass: 4 },
    DF: { dontFragment: false },
    acknowledgment: { acknowledgment: 6 },
    window: { window: 501 },
    options: { options: [{ nop: true }, { nop: true }, { nop: true }, { nop: true }] },
    addresses: { number: 2 },
  };
  for (const [what, fields] of Object.entries(change)) {
    const [, second] = run({ ...TCP, ...fields }, [1000, 1000]);
    assertEquals(coalesce([first!, second!]).length, 2, what);
  }
  const timed = (echo: number): Flow => ({ ...TCP, options: [{ timestamp: 1, echo }] });
  const [before] = run(timed(1), [1000]);
  assertEquals(coalesce([before!, run(timed(1), [1000, 1000])[1]!]).length, 1);
  assertEquals(coalesce([before!, run(timed(2), [1000, 1000])[1]!]).length, 2);
});

Deno.test("Coalescer merges identifications that count up, or with DF stay the same", () => {
  const fixed = (flow: Flow, ids: number[]) =>
    run(flow, ids.map(() => 1000)).map((bytes, i) => {
      const packet = Ipv4.parse(bytes)!;
      packet.identification = ids[i]!;
      packet.updateChecksum();
      return bytes;
    });
  assertEquals(coalesce(fixed(TCP, [9, 9, 9])).length, 1);
  assertEquals(coalesce(fixed(TCP, [0xffff, 0, 1])).length, 1);
  assertEquals(coalesce(fixed(TCP, [9, 10, 10])).length, 2);
  assertEquals(coalesce(fixed(TCP, [9, 9, 10])).length, 2);
  assertEquals(coalesce(fixed(TCP, [9, 9, 11])).length, 2);
  assertEquals(coalesce(fixed(TCP, [9, 8])).length, 2);
  assertEquals(coalesce(fixed({ ...TCP, dontFragment: false }, [9, 9])).length, 2);
  assertEquals(coalesce(fixed({ ...TCP, dontFragment: false }, [9, 10])).length, 1);
});

Deno.test("Coalescer passes packets with a wrong checksum unchanged", () => {
  for (const flow of [TCP, UDP, { ...TCP, version: 6 } as Flow]) {
    for (const at of [10, 45, 200, 1000]) {
      if (flow.version === 6 && at === 10) continue; // it has no checksum there
      for (const which of [0, 1, 2]) {
        const packets = run(flow, [1000, 1000, 1000]);
        packets[which]![at]! ^= 0x10;
        const written = coalesce(packets);
        assert(written.length >= 2);
        const wanted = Uint8Array.of(...new Uint8Array(10), ...packets[which]!);
        assertEquals(written[which === 2 ? written.length - 1 : which], wanted);
      }
    }
  }
});

Deno.test("Coalescer merges no UDP without a checksum or without data", () => {
  const packets = run(UDP, [1000, 1000]);
  for (const packet of packets) packet.fill(0, 26, 28);
  assertEquals(coalesce(packets).length, 2);
  assertEquals(coalesce(run(UDP, [0, 0])).length, 2);
});

Deno.test("Coalescer merges datagrams only where the kernel accepts that", () => {
  const both = [...run(TCP, [1000, 1000]), ...run({ ...UDP, number: 2 }, [1000, 1000])];
  const coalescer = new Coalescer(output, { udp: false });
  coalescer.clear();
  for (const packet of both) assert(coalescer.add(packet));
  assertEquals(sizesOf(packetsIn(output)), [1000, 0, 0]);
});

Deno.test("Coalescer builds packets of at most 65,535 bytes or 64 datagrams", () => {
  const tcp = coalesce(run(TCP, Array(100).fill(1448)));
  // 45 segments and two headers of 20 bytes.
  assertEquals(tcp.map(({ length }) => length), [45, 45, 10].map((n) => 50 + n * 1448));
  const udp = coalesce(run(UDP, Array(150).fill(100)));
  assertEquals(udp.map(({ length }) => length), [64, 64, 22].map((n) => 38 + n * 100));
  const small = slots(8, 4000);
  const coalescer = new Coalescer(small);
  for (const packet of run(TCP, Array(5).fill(1448))) assert(coalescer.add(packet));
  assertEquals(packetsIn(small).map(({ length }) => length), [2 * 1448 + 50, 2 * 1448 + 50, 1498]);
});

Deno.test("Coalescer merges flows side by side", () => {
  const all = Array.from(
    { length: 100 },
    (_, number) => run({ ...TCP, number }, Array(3).fill(500)),
  );
  const mixed = [0, 1, 2].flatMap((i) => all.map((packets) => packets[i]!));
  const merged = coalesce(mixed);
  // Two flows may share their place in the table: the first is not merged further then.
  assert(merged.length < 130, `${merged.length}`);
  assertEquals(onTheWire(merged, 0).length, 300);
});

Deno.test("Coalescer merges frames of a TAP with equal Ethernet headers", () => {
  const framed = { ...TCP, framed: true };
  assertEquals(sizesOf(coalesce(run(framed, [1000, 1000]), 14)), [1000]);
  const [first, second] = run(framed, [1000, 1000]);
  second![5]! ^= 1;
  assertEquals(coalesce([first!, second!], 14).length, 2);
  const tagged = run(TCP, [1000, 1000]).map((packet) =>
    buildPacket(
      ethernet({
        source: "02:00:00:00:00:01",
        destination: "02:00:00:00:00:02",
        tags: [{ vid: 5 }],
      }),
      packet,
    )
  );
  assertEquals(coalesce(tagged, 14).length, 2);
});

Deno.test("Coalescer passes a packet with bytes behind its end unchanged", () => {
  const [first, second, third] = run(TCP, [1000, 1000, 1000]);
  const padded = Uint8Array.of(...second!, 0, 0);
  const written = coalesce([first!, padded, third!]);
  assertEquals(written.map((packet) => packet.subarray(10)), [first, padded, third]);
});

Deno.test("Coalescer passes other packets than IP unchanged", () => {
  const odd = [new Uint8Array(0), Uint8Array.of(0x45), new Uint8Array(100).fill(0x60)];
  const written = coalesce(odd);
  assertEquals(written.map((packet) => packet.subarray(10)), odd);
  assertEquals(sizesOf(written), [0, 0, 0]);
});

Deno.test("add() returns false when the output is full, and continues after clear()", () => {
  const few = slots(2);
  const coalescer = new Coalescer(few);
  const other = (number: number) => run({ ...TCP, number }, [1000])[0]!;
  assertEquals([1, 2, 3].map((number) => coalescer.add(other(number))), [true, true, false]);
  // A merged packet needs no slot.
  assert(coalescer.add(run({ ...TCP, number: 2 }, [1000, 1000])[1]!));
  coalescer.clear();
  assertEquals(few.count, 0);
  assert(coalescer.add(run({ ...TCP, number: 2 }, [1000, 1000, 1000])[2]!));
  assertEquals(sizesOf(packetsIn(few)), [0]);
});

Deno.test("add() refuses packets that no slot holds, and ranges outside the memory", () => {
  const coalescer = new Coalescer(slots(2, 1000));
  assertThrows(() => coalescer.add(new Uint8Array(991)), RangeError, "a packet of 991 is too long");
  assertThrows(
    () => coalescer.add(new Uint8Array(9), 5, 10),
    RangeError,
    "within 9 bytes: got 5..10",
  );
  assertThrows(() => new Coalescer(slots(2), { linkHeader: -1 }), RangeError, "linkHeader");
});

Deno.test("Coalescer merges datagrams of a single byte", () => {
  const packets = [0, 1].map((identification) =>
    buildPacket(
      ipv4({ source: "10.0.0.1", destination: "10.0.0.2", identification }),
      udp({ sourcePort: 1, destinationPort: 2 }),
      Uint8Array.of(7),
    )
  );
  assertEquals(sizesOf(coalesce(packets)), [1]);
});
