import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Request } from "../../src/netlink/message.ts";
import {
  addAltNames,
  deleteLink,
  dumpLinks,
  getLink,
  linkFlagNames,
  type LinkMessage,
  type LinkStats,
  newLink,
  setLink,
  upFlags,
} from "../../src/rtnetlink/mod.ts";
import { bodyOf, readReply, toHex } from "../helpers.ts";
import { VETH } from "./captured_link.ts";

const read = (body: string) => readReply(getLink(1), body);
/** `struct ifinfomsg` of link 10, Ethernet, up. */
const HEADER = "00000100 0a000000 03100000 00000000 ";

Deno.test("A link is read from bytes with all that it has", () => {
  const { stats, port, ...link } = read(VETH);
  assertEquals(link, {
    kind: "veth",
    options: {},
    type: 1,
    index: 10,
    flags: ["UP", "BROADCAST", "MULTICAST"],
    up: true,
    name: "v0",
    altNames: ["port-one", "port-two"],
    alias: "to ns",
    mtu: 1500,
    minMtu: 68,
    maxMtu: 65535,
    mac: "02:00:00:00:00:10",
    broadcast: "ff:ff:ff:ff:ff:ff",
    txqlen: 77,
    group: 7,
    master: 12,
    peer: 2,
    linkNetnsId: 0,
    qdisc: "noqueue",
    operstate: "lowerlayerdown",
    linkmode: 0,
    carrier: false,
    carrierChanges: 1,
    carrierUpCount: 0,
    carrierDownCount: 1,
    promiscuity: 1,
    allmulti: 1,
    protoDown: false,
    netnsImmutable: false,
    numTxQueues: 2,
    numRxQueues: 2,
    gsoMaxSegs: 65535,
    gsoMaxSize: 65536,
    groMaxSize: 65536,
    gsoIpv4MaxSize: 65536,
    groIpv4MaxSize: 65536,
    tsoMaxSize: 524280,
    tsoMaxSegs: 65535,
    maxPacingOffloadHorizon: 0,
    headroom: 0,
    tailroom: 0,
    afSpec: { inet6: { addrGenMode: "eui64" } },
  });
  assertEquals(port?.kind, "bridge");
  assert(Object.values(stats!).every((count) => count === 0));
});

Deno.test("A link of an unknown kind has its options as bytes, that of a known one by name", () => {
  const unknown = read(HEADER + "18001280 09000100 6e657773 00000000 08000280 05000000");
  assert(unknown.kind === "unknown");
  assertEquals([unknown.kernelKind, toHex(unknown.options)], ["news", "05000000"]);
  const nest = "34001280 0a000100 76786c61 6e000000 0c000280 08000100 05000000" +
    " 0b000400 62726964 67650000 0c000580 08000300 07000000";
  const known = read(HEADER + nest);
  assert(known.kind === "vxlan");
  assertEquals(known.options, { id: 5 });
  assertEquals(known.port, { kind: "bridge", options: { cost: 7 } });
});

Deno.test("A peer in another namespace, states and flags without a name, negative ids", () => {
  const link = read(HEADER + "08002500 ffffffff 05001000 63000000 08000500 07000000");
  assertEquals([link.linkNetnsId, link.operstate, link.parent], [-1, 99, 7]);
  assertEquals(link.flags, ["UP", "BROADCAST", "MULTICAST"]);
  assertEquals(linkFlagNames(0x1003 | 1 << 30), ["UP", "BROADCAST", "MULTICAST"]);
});

Deno.test("Counters are read by their place in the struct, those a kernel lacks as 0", () => {
  const names: (keyof LinkStats)[] = [
    "rxPackets",
    "txPackets",
    "rxBytes",
    "txBytes",
    "rxErrors",
    "txErrors",
    "rxDropped",
    "txDropped",
    "multicast",
    "collisions",
    "rxLengthErrors",
    "rxOverErrors",
    "rxCrcErrors",
    "rxFrameErrors",
    "rxFifoErrors",
    "rxMissedErrors",
    "txAbortedErrors",
    "txCarrierErrors",
    "txFifoErrors",
    "txHeartbeatErrors",
    "txWindowErrors",
    "rxCompressed",
    "txCompressed",
    "rxNohandler",
    "rxOtherhostDropped",
  ];
  for (const count of [names.length, names.length - 1, names.length - 2]) {
    const counters = BigUint64Array.from({ length: count }, (_, i) => BigInt(i + 1) << 33n);
    const length = (counters.byteLength + 4).toString(16).padStart(2, "0");
    const { stats } = read(`${HEADER}${length}001700 ${toHex(new Uint8Array(counters.buffer))}`);
    assertEquals<unknown>(
      Object.entries(stats!),
      names.map((name, i) => [name, i < count ? (i + 1) * 2 ** 33 : 0]),
    );
  }
});

// As iproute2 sends them, but for the order of attributes, and the bit of nests and the NUL of a kind,
// which it leaves out.
const WRITTEN: [request: Request<unknown>, body: string][] = [
  [
    newLink({
      name: "b0",
      mtu: 1400,
      mac: "02:00:00:00:00:01",
      linkInfo: { kind: "bridge" },
      ...upFlags(true),
    }),
    `00000000 00000000 01000000 01000000 07000300 62300000 08000400 78050000 0a000100 02000000
     00010000 10001280 0b000100 62726964 67650000`,
  ],
  [
    newLink({
      name: "m0",
      parent: 10,
      index: 99,
      group: 5,
      txqlen: 0,
      linkInfo: { kind: "vxlan", data: { id: 4 } },
    }),
    `00000000 63000000 00000000 00000000 07000300 6d300000 08000500 0a000000 08001b00 05000000
     08000d00 00000000 1c001280 0a000100 76786c61 6e000000 0c000280 08000100 04000000`,
  ],
  [setLink({ index: 10, master: 0 }), "00000000 0a000000 00000000 00000000 08000a00 00000000"],
  [
    setLink({ index: 10, afSpec: { inet6: { addrGenMode: "none" } } }),
    "00000000 0a000000 00000000 00000000 10001a80 0c000a80 05000800 01000000",
  ],
  [
    setLink({ index: 10, name: "x", alias: "" }),
    "00000000 0a000000 00000000 00000000 06000300 78000000 04001400",
  ],
  [
    setLink({ index: 10, linkInfo: { portKind: "bridge", portData: { cost: 4 } } }),
    `00000000 0a000000 00000000 00000000 1c001280 0b000400 62726964 67650000 0c000580 08000300
     04000000`,
  ],
  [deleteLink({ index: 10 }), "00000000 0a000000 00000000 00000000"],
  [deleteLink({ name: "x" }), "00000000 00000000 00000000 00000000 06000300 78000000"],
  [deleteLink({ group: 7 }), "00000000 00000000 00000000 00000000 08001b00 07000000"],
  [getLink(5), "00000000 05000000 00000000 00000000 08001d00 10000000"],
  [
    getLink("lo"),
    "00000000 00000000 00000000 00000000 07000300 6c6f0000 08001d00 10000000",
  ],
  [
    getLink("a-very-long-alternative-name"),
    `00000000 00000000 00000000 00000000 08001d00 10000000 21003500 612d7665 72792d6c 6f6e672d 616c7465 726e6174
     6976652d 6e616d65 00000000`,
  ],
  [
    getLink("lo", { stats: false }),
    "00000000 00000000 00000000 00000000 07000300 6c6f0000 08001d00 08000000",
  ],
  [
    dumpLinks({ kind: "bridge", master: 5, stats: false }),
    `00000000 00000000 00000000 00000000 08001d00 08000000 08000a00 05000000 10001280 0b000100
     62726964 67650000`,
  ],
  [
    addAltNames(5, ["alt-a", "alt-b"]),
    `00000000 05000000 00000000 00000000 1c003480 0a003500 616c742d 61000000 0a003500 616c742d
     62000000`,
  ],
];

for (const [request, body] of WRITTEN) {
  Deno.test(`A link is written as bytes: ${request.command()}`, () => {
    assertEquals(bodyOf(request), body.replace(/\s+/g, " "));
  });
}

const REFUSED: [message: object, error: typeof TypeError | typeof RangeError, text: string][] = [
  [{ name: "x".repeat(16) }, RangeError, "name must have at most 15 bytes"],
  [{ name: "ääääääää" }, RangeError, '"ääääääää" has 16'],
  ...["", "a/b", "a b", ".", "..", "a:b", "a%d", "a\0"].map((
    name,
  ): typeof REFUSED[number] => [{ name }, TypeError, "name must be a link name"]),
  [{ mtu: -1 }, RangeError, "mtu must be in 0..2147483647 bytes"],
  [{ mac: "02:00:00:0g" }, TypeError, 'mac: "02:00:00:0g" is not a link-layer address'],
  [{ alias: "x".repeat(256) }, RangeError, "alias must have at most 255 bytes"],
  [{ altNames: ["ok", "x".repeat(128)] }, RangeError, "altNames[1] must have at most 127"],
  [{ numTxQueues: 0 }, RangeError, "numTxQueues must be in 1..4096"],
  [{ operstate: "upwards" }, TypeError, "operstate must be one of"],
  [
    { afSpec: { inet6: { addrGenMode: "maybe" } } },
    TypeError,
    "afSpec.inet6.addrGenMode must be one of",
  ],
  [{ linkInfo: { kind: "nosuch", data: { a: 1 } } }, TypeError, "must be a Uint8Array"],
  [{ linkInfo: { kind: "vxlan", data: { size: 1 } } }, TypeError, 'Unknown option "size"'],
  [{ linkInfo: { kind: "vxlan", data: { id: -1 } } }, RangeError, "id must be in 0..16777215"],
  [{ stats: {} }, TypeError, "statistics cannot be set"],
  [{ colour: 1 }, TypeError, 'Unknown option "colour"'],
];

for (const [message, error, text] of REFUSED) {
  Deno.test(`A link is refused before anything is sent: ${text} (${JSON.stringify(message).slice(0, 30)})`, () => {
    assertThrows(() => bodyOf(setLink({ index: 1, ...message } as LinkMessage)), error, text);
  });
}
