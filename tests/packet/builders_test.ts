// Numbers that a field cannot hold, and fields that do not exist: no builder and no setter cuts anything.
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  arp,
  buildPacket,
  Dhcp,
  dhcp,
  ethernet,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  ipv6Extension,
  type Layer,
  neighborDiscovery,
  type NeighborDiscoveryOption,
  tcp,
  type TcpOption,
  udp,
  vxlan,
} from "../../src/packet/mod.ts";
import { tshark, tsharkTest } from "./tshark.ts";

const MAC = "02:00:00:00:00:01";
const v4 = { source: "10.0.0.1", destination: "10.0.0.2" };
const v6 = { source: "fd00::1", destination: "fd00::2" };
const link = { source: MAC, destination: MAC };
const ports = { sourcePort: 1, destinationPort: 2 };
const lease = { messageType: 1, transaction: 1, clientMac: MAC };
const PREFIX = {
  type: "prefix",
  prefix: "fd00::",
  length: 64,
  onLink: true,
  autonomous: true,
  validLifetime: 1,
  preferredLifetime: 1,
} as const;

type Build = (value: number) => Layer;

const tag = (fields: object): Layer =>
  ethernet({ ...link, tags: [{ vid: 1 }, { vid: 1, ...fields }] });
const tcpOption = (option: object): Layer =>
  tcp({ ...ports, options: [{ nop: true }, option as TcpOption] });
const nd = (option: object): Layer =>
  neighborDiscovery({ type: 133, options: [option as NeighborDiscoveryOption] });
const advert = (fields: object): Layer => neighborDiscovery({ type: 134, ...fields });

/** Every number of every builder: the name in the error, its bits, and the builder. */
const NUMBERS: readonly [name: string, bits: number, build: Build][] = [
  [
    "operation",
    16,
    (operation) => arp({ operation, senderMac: MAC, senderIp: "10.0.0.1", targetIp: "10.0.0.2" }),
  ],
  ["etherType", 16, (etherType) => ethernet({ ...link, etherType })],
  ["tags[1].vid", 12, (vid) => tag({ vid })],
  ["tags[1].pcp", 3, (pcp) => tag({ pcp })],
  ["protocol", 8, (protocol) => ipv4({ ...v4, protocol })],
  ["ttl", 8, (ttl) => ipv4({ ...v4, ttl })],
  ["dscp", 6, (dscp) => ipv4({ ...v4, dscp })],
  ["ecn", 2, (ecn) => ipv4({ ...v4, ecn })],
  ["identification", 16, (identification) => ipv4({ ...v4, identification })],
  ["nextHeader", 8, (nextHeader) => ipv6({ ...v6, nextHeader })],
  ["hopLimit", 8, (hopLimit) => ipv6({ ...v6, hopLimit })],
  ["trafficClass", 8, (trafficClass) => ipv6({ ...v6, trafficClass })],
  ["flowLabel", 20, (flowLabel) => ipv6({ ...v6, flowLabel })],
  [
    "nextHeader",
    8,
    (nextHeader) => ipv6Extension({ type: 0, body: new Uint8Array(6), nextHeader }),
  ],
  ...[icmp, icmpv6].flatMap((icmp): typeof NUMBERS => [
    ["type", 8, (type) => icmp({ type })],
    ["code", 8, (code) => icmp({ type: 1, code })],
    ["identifier", 16, (identifier) => icmp({ type: 8, identifier })],
    ["sequence", 16, (sequence) => icmp({ type: 8, sequence })],
    ["rest", 32, (rest) => icmp({ type: 3, rest })],
  ]),
  ["hopLimit", 8, (hopLimit) => advert({ hopLimit })],
  ["routerLifetime", 16, (routerLifetime) => advert({ routerLifetime })],
  ["reachableTime", 32, (reachableTime) => advert({ reachableTime })],
  ["retransTimer", 32, (retransTimer) => advert({ retransTimer })],
  ["options[0].validLifetime", 32, (validLifetime) => nd({ ...PREFIX, validLifetime })],
  ["options[0].preferredLifetime", 32, (preferredLifetime) => nd({ ...PREFIX, preferredLifetime })],
  ["options[0].mtu", 32, (mtu) => nd({ type: "mtu", mtu })],
  ["options[0].lifetime", 32, (lifetime) => nd({ type: "rdnss", lifetime, servers: ["::1"] })],
  ["options[0].number", 8, (number) => nd({ type: "unknown", number, value: new Uint8Array(6) })],
  ["sourcePort", 16, (sourcePort) => udp({ ...ports, sourcePort })],
  ["destinationPort", 16, (destinationPort) => udp({ ...ports, destinationPort })],
  ["sourcePort", 16, (sourcePort) => tcp({ ...ports, sourcePort })],
  ["destinationPort", 16, (destinationPort) => tcp({ ...ports, destinationPort })],
  ["sequence", 32, (sequence) => tcp({ ...ports, sequence })],
  ["acknowledgment", 32, (acknowledgment) => tcp({ ...ports, acknowledgment })],
  ["flags", 12, (flags) => tcp({ ...ports, flags })],
  ["window", 16, (window) => tcp({ ...ports, window })],
  ["urgentPointer", 16, (urgentPointer) => tcp({ ...ports, urgentPointer })],
  ["options[1].mss", 16, (mss) => tcpOption({ mss })],
  ["options[1].windowScale", 8, (windowScale) => tcpOption({ windowScale })],
  ["options[1].timestamp", 32, (timestamp) => tcpOption({ timestamp, echo: 0 })],
  ["options[1].echo", 32, (echo) => tcpOption({ timestamp: 0, echo })],
  ["options[1].sack[0][1]", 32, (to) => tcpOption({ sack: [[0, to]] })],
  ["options[1].kind", 8, (kind) => tcpOption({ kind, value: new Uint8Array() })],
  ["messageType", 8, (messageType) => dhcp({ ...lease, messageType })],
  ["transaction", 32, (transaction) => dhcp({ ...lease, transaction })],
  ["seconds", 16, (seconds) => dhcp({ ...lease, seconds })],
  ["vni", 24, (vni) => vxlan({ vni })],
];

Deno.test("Builders accept every number that fits its field and refuse all others", () => {
  for (const [name, bits, build] of NUMBERS) {
    const most = 2 ** bits - 1;
    for (const value of [0, 1, most]) assert(buildPacket(build(value)).length > 0, name);
    for (const value of [-1, most + 1, 2 ** 40]) {
      const message = `${name} must be in 0..${most}: got ${value}`;
      assertThrows(() => build(value), RangeError, message);
    }
    for (const value of [NaN, 0.5, Infinity, "1", null]) {
      assertThrows(() => build(value as number), TypeError, `${name} must be an integer: got`);
    }
  }
});

/** Lengths and numbers with other limits than a number of bits. */
const LIMITS: readonly [message: string, build: () => unknown][] = [
  ["fragmentOffset must be a multiple of 8: got 12", () => ipv4({ ...v4, fragmentOffset: 12 })],
  [
    "fragmentOffset must be in 0..65535: got 65536",
    () => ipv4({ ...v4, fragmentOffset: 65_536 }),
  ],
  [
    "options must have a multiple of 4 bytes up to 40: got 44 bytes",
    () => ipv4({ ...v4, options: new Uint8Array(44) }),
  ],
  [
    "tags[0].protocol must be one of 0x8100, 0x88a8, 0x9100, 0x9200: got 0x800",
    () => ethernet({ ...link, tags: [{ protocol: 0x800, vid: 1 }] }),
  ],
  [
    "body must have 0..2046 bytes: got 2047",
    () => ipv6Extension({ type: 60, body: new Uint8Array(2047) }),
  ],
  [
    "body must have 0..1022 bytes: got 1023",
    () => ipv6Extension({ type: 51, body: new Uint8Array(1023) }),
  ],
  ["body must have 6 bytes: got 7", () => ipv6Extension({ type: 44, body: new Uint8Array(7) })],
  ["type must be an extension header", () => ipv6Extension({ type: 6, body: new Uint8Array(6) })],
  ["type must be in 133..137: got 138", () => neighborDiscovery({ type: 138 as 133 })],
  ["options[0].length must be in 0..128: got 129", () => nd({ ...PREFIX, length: 129 })],
  [
    "options[0].servers.length must be in 1..127: got 128",
    () => nd({ type: "rdnss", lifetime: 1, servers: Array(128).fill("::1") }),
  ],
  [
    "options[0].value.length must be in 0..2038: got 2039",
    () => nd({ type: "unknown", number: 9, value: new Uint8Array(2039) }),
  ],
  [
    "options must have at most 40 bytes: got 303 bytes",
    () => tcpOption({ kind: 9, value: new Uint8Array(300) }),
  ],
  [
    "options[0].type must be in 1..254: got 255",
    () => dhcp({ ...lease, options: [{ type: 255, value: new Uint8Array() }] }),
  ],
  [
    "IPv4 total length must be in 0..65535 bytes: got 65536",
    () => buildPacket(ipv4(v4), udp(ports), new Uint8Array(65_508)),
  ],
  [
    "IPv6 payload length must be in 0..65535 bytes: got 65536; more takes a jumbo payload option",
    () => buildPacket(ipv6(v6), udp(ports), new Uint8Array(65_528)),
  ],
  [
    "UDP length must be in 0..65535 bytes: got 65536",
    () => buildPacket(udp(ports), new Uint8Array(65_528)),
  ],
  [
    "IPv4 total length must be in 0..65535 bytes",
    () =>
      buildPacket(
        ipv4(v4),
        udp(ports),
        dhcp({ ...lease, options: [{ type: 43, value: new Uint8Array(65_400) }] }),
      ),
  ],
];

Deno.test("Builders refuse lengths that a header does not have", () => {
  for (const [message, build] of LIMITS) assertThrows(build, RangeError, message);
  buildPacket(ipv4(v4), udp(ports), new Uint8Array(65_507));
  buildPacket(ipv6(v6), udp(ports), new Uint8Array(65_527));
  buildPacket(ipv6(v6), ipv6Extension({ type: 60, body: new Uint8Array(2046) }), udp(ports));
  assertEquals(buildPacket(ipv6Extension({ type: 51, body: new Uint8Array(1022) }))[1], 254);
});

/** Each builder with a misspelled field. */
const MISSPELLED: readonly [message: string, build: () => unknown][] = [
  ['"tll": did you mean "ttl"', () => ipv4({ ...v4, tll: 3 } as typeof v4)],
  ['"hoplimit": did you mean "hopLimit"', () => ipv6({ ...v6, hoplimit: 3 } as typeof v6)],
  [
    '"sourceport": did you mean "sourcePort"',
    () => udp({ ...ports, sourceport: 3 } as typeof ports),
  ],
  ['"windows": did you mean "window"', () => tcp({ ...ports, windows: 3 } as typeof ports)],
  ['"options[1].mms"', () => tcpOption({ mss: 1, mms: 2 })],
  [
    '"ethertype": did you mean "etherType"',
    () => ethernet({ ...link, ethertype: 3 } as typeof link),
  ],
  ['"tags[1].vlan"', () => tag({ vlan: 3 })],
  ['"seq"', () => icmp({ type: 8, seq: 1 } as { type: number })],
  ['"seq"', () => icmpv6({ type: 8, seq: 1 } as { type: number })],
  ['"hopLimits": did you mean "hopLimit"', () => advert({ hopLimits: 1 })],
  ['"hopLimit"', () => neighborDiscovery({ type: 133, hopLimit: 1 } as { type: 133 })],
  ['"options[0].lifetime"', () => nd({ type: "mtu", mtu: 1, lifetime: 1 })],
  [
    '"transactions": did you mean "transaction"',
    () => dhcp({ ...lease, transactions: 1 } as typeof lease),
  ],
  ['"vnl"', () => vxlan({ vni: 1, vnl: 1 } as { vni: number })],
  [
    '"nextheader": did you mean "nextHeader"',
    () => ipv6Extension({ type: 0, body: new Uint8Array(6), nextheader: 1 } as never),
  ],
  [
    '"op"',
    () => arp({ op: 1, senderMac: MAC, senderIp: "10.0.0.1", targetIp: "10.0.0.2" } as never),
  ],
];

Deno.test("Builders refuse fields that do not exist, with the nearest name", () => {
  for (const [message, build] of MISSPELLED) {
    assertThrows(build, TypeError, `Unknown option ${message}`);
  }
  assertThrows(() => tcpOption({ mms: 3 }), TypeError, "options[1] must have one of nop, end, mss");
  assertThrows(() => nd({ type: "mtus", mtu: 3 }), TypeError, 'did you mean "mtu"');
  assertThrows(() => udp({ sourcePort: 1 } as typeof ports), TypeError, "destinationPort must be");
  assertThrows(
    () => tcp({ ...ports, syn: 1 as unknown as boolean }),
    TypeError,
    "syn must be a bool",
  );
  assertThrows(
    () => buildPacket("x" as never),
    TypeError,
    "parts[0] must be a layer or a Uint8Array",
  );
});

/** A DHCP message of a client in a frame. */
function framed(options: { type: number; value: Uint8Array }[]): Uint8Array<ArrayBuffer> {
  return buildPacket(
    ethernet({ ...link, destination: "ff:ff:ff:ff:ff:ff" }),
    ipv4(v4),
    udp({ sourcePort: 68, destinationPort: 67 }),
    dhcp({ ...lease, options }),
  );
}

tsharkTest("Long DHCP options are split as tshark reads them, and joined", () => {
  const long = Uint8Array.from({ length: 600 }, (_, i) => i * 7);
  const exact = new Uint8Array(255).fill(9);
  const frame = framed([{ type: 43, value: long }, { type: 61, value: exact }]);
  const [row] = tshark([frame], "ethernet", "dhcp.option.type", "_ws.expert.message");
  assertEquals(row![1], "");
  const message = Dhcp.parse(frame, 42)!;
  assertEquals(message.options.map(({ type }) => type), [53, 43, 61]);
  assertEquals([message.option(43), message.option(61)], [long, exact]);
  assert(message.optionsValid);
  // 600 = 255 + 255 + 90.
  const raw = frame.subarray(42 + 240 + 3);
  assertEquals([raw[0], raw[1], raw[257], raw[258], raw[514], raw[515]], [
    43,
    255,
    43,
    255,
    43,
    90,
  ]);
});

Deno.test("Dhcp reads options in the fields file and sname", () => {
  for (const overload of [1, 2, 3]) {
    const host = { type: 12, value: new TextEncoder().encode("a") };
    const bytes = buildPacket(
      dhcp({ ...lease, options: [{ type: 52, value: Uint8Array.of(overload) }, host] }),
    );
    bytes.set([12, 1, 0x62, 6, 4, 1, 1, 1, 1, 255], 108); // file
    bytes.set([0, 12, 1, 0x63, 255, 3, 99], 44); // sname
    const message = Dhcp.parse(bytes)!;
    const name = ["", "ab", "ac", "abc"][overload];
    assertEquals(new TextDecoder().decode(message.option(12)), name);
    assertEquals(message.addresses(6), overload === 2 ? [] : ["1.1.1.1"]);
    assertEquals([message.option(3), message.optionsValid], [undefined, true]);
  }
});

Deno.test("Dhcp reads the options before and behind a malformed one", () => {
  const host = { type: 12, value: new TextEncoder().encode("box") };
  const bytes = buildPacket(dhcp({
    ...lease,
    options: [{ type: 52, value: Uint8Array.of(1) }, host, { type: 3, value: new Uint8Array(4) }],
  }));
  bytes.set([6, 4, 9, 9, 9, 9, 255], 108);
  bytes[bytes.length - 6] = 200; // the length of option 3
  const message = Dhcp.parse(bytes)!;
  assertEquals(message.options.map(({ type }) => type), [53, 52, 12, 6]);
  assertEquals([message.messageType, message.optionsValid], [1, false]);
  assertEquals(message.addresses(6), ["9.9.9.9"]);
  // Cut off within an option, and without an end.
  assertEquals(Dhcp.parse(bytes.subarray(0, 244))!.options.map(({ type }) => type), [53]);
});

Deno.test("Dhcp reads a BOOTP message, with and without a vendor field", () => {
  for (const length of [236, 300]) {
    const bytes = new Uint8Array(length);
    bytes.set([2, 1, 6, 0, 0, 0, 0, 9]);
    bytes.set([10, 0, 0, 7], 16);
    if (length === 300) bytes.fill(0x35, 236);
    const message = Dhcp.parse(bytes)!;
    assertEquals([message.op, message.transaction, message.yourAddress], [2, 9, "10.0.0.7"]);
    assertEquals([message.messageType, message.options, message.optionsValid], [
      undefined,
      [],
      true,
    ]);
  }
  assertEquals(Dhcp.parse(new Uint8Array(235)), undefined);
});
