// Messages that are cut off or broken: a NetlinkDecodeError, or what is there; never a neighbor's bytes.
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { Bridge, Link, NetNs, Veth } from "../../mod.ts";
import { forEachAttribute } from "../../src/netlink/attribute.ts";
import { getFamily } from "../../src/genetlink/mod.ts";
import { source } from "../../src/netlink/bytes.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { decode, type DumpRequest, NETLINK, type Request } from "../../src/netlink/message.ts";
import { NetlinkDecodeError } from "../../src/netlink/error.ts";
import {
  AF,
  dumpAddresses,
  dumpBridgeVlans,
  dumpFdb,
  dumpLinks,
  dumpNeighbors,
  dumpRoutes,
  getLink,
  getNsid,
  getRoute,
} from "../../src/rtnetlink/mod.ts";
import { test } from "../leaks.ts";
import { withoutKind } from "../link/oracle.ts";

type Body = Uint8Array<ArrayBuffer>;

/** A namespace with objects of every family, and the messages about them. */
function messages(): [Request, Body[]][] {
  using netns = NetNs.create();
  using other = NetNs.create();
  const bridge = Bridge.create({
    name: "br0",
    netns,
    up: true,
    stp: true,
    alias: "a bridge",
    altNames: ["another-name"],
    addresses: ["10.0.0.1/24", "fd00::1/64"],
  });
  Veth.create({ name: "v0", netns, master: bridge, up: true, peer: { name: "v1", netns: other } });
  if (!withoutKind("macvlan")) {
    Link.create({ kind: "macvlan", name: "m0", netns, parent: bridge, up: true });
  }
  const { index } = bridge;
  netns.routes.add({ destination: "10.1.0.0/16", gateway: "10.0.0.2", metrics: { mtu: 1400 } });
  netns.routes.add({
    destination: "fd01::/64",
    nexthops: [{ gateway: "fd00::2", dev: index, weight: 3 }, { gateway: "fd00::3", dev: index }],
  });
  const lladdr = "02:00:00:00:00:01";
  netns.neighbors.add({ address: "10.0.0.9", lladdr, dev: bridge });
  bridge.fdb.add({ mac: lladdr, port: "v0" });

  const connection = connectionTo(netns.ref);
  const raw = <T>(request: Request<T>): Request<Body> => ({
    ...request,
    reply: ({ bytes }, start, end) => bytes.slice(start, end),
  });
  const dumped = <T>({ filter: _, ...request }: DumpRequest<T>): [Request, Body[]] => [
    request,
    // One of each length: others have the same attributes, mostly.
    [
      ...Map.groupBy(
        connection.dump(raw(request) as DumpRequest<Body>),
        ({ length }) => length,
      ).values(),
    ].map(([body]) => body!),
  ];
  const answered = <T>(request: Request<T>): [Request, Body[]] => [
    request,
    [connection.request(raw(request))],
  ];
  const family = getFamily("nlctrl");
  return [
    dumped(dumpLinks()),
    dumped(dumpAddresses()),
    dumped(dumpRoutes()),
    dumped(dumpNeighbors()),
    dumped(dumpFdb()),
    dumped(dumpBridgeVlans()),
    answered(getLink("v0")),
    answered(getNsid({ fd: other.ref.fd.value })),
    answered(getRoute("10.1.2.3")),
    [family, [connectionTo(netns.ref, NETLINK.GENERIC).request(raw(family))]],
  ];
}

/** What comes of a body with these bytes behind it: a value as text, or the error's class. */
function outcome(request: Request, body: Uint8Array, behind: Uint8Array): string {
  const bytes = new Uint8Array(body.length + behind.length);
  bytes.set(body);
  bytes.set(behind, body.length);
  const header = { type: request.type, flags: 0, sequence: 0, start: 0, end: body.length };
  try {
    return JSON.stringify(
      decode(request.reply!, request.format.headerLength, source(bytes), header),
      (_, value) => typeof value === "bigint" ? `${value}n` : value,
    );
  } catch (error) {
    assertInstanceOf(error, NetlinkDecodeError, String((error as Error).stack));
    return error.name;
  }
}

const BEHIND = [new Uint8Array(0), new Uint8Array(64), new Uint8Array(64).fill(0xff)];

function check(request: Request, body: Uint8Array, what: string): string {
  const [first, ...others] = BEHIND.map((behind) => outcome(request, body, behind));
  for (const other of others) assertEquals(other, first, `${request.typeName} ${what}`);
  return first!;
}

/** Numbers that look random, the same in each run (xorshift32). */
function* numbers(): Generator<number, never> {
  for (let x = 2463534242;;) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield x >>> 0;
  }
}

test("A message cut off anywhere is an error, or has what is there", () => {
  for (const [request, bodies] of messages()) {
    assert(bodies.length > 0, request.operation);
    const { headerLength } = request.format;
    for (const body of bodies) {
      for (let length = 0; length < body.length; length += length < 100 ? 1 : 7) {
        const found = check(request, body.subarray(0, length), `cut to ${length}`);
        if (length < headerLength) assertEquals(found, "NetlinkDecodeError", request.typeName);
      }
    }
  }
});

/** Nests of link messages, by their path of types: the kernel does not mark all of them. */
const NESTS = ["18", "18.2", "18.5", "26", "26.2", "26.10"];
/** Those of a bridge's messages, whose attribute 26.2 is a VLAN. */
const BRIDGE_NESTS = ["26"];

/** Where the attributes of a body are, those in nests too: offset and length. */
function* attributes(
  body: Body,
  start: number,
  end: number,
  path = "",
): Generator<[number, number]> {
  const found: [type: number, at: number, length: number][] = [];
  forEachAttribute(source(body), start, end, (...it) => void found.push(it));
  for (const [type, at, length] of found) {
    yield [at - 4, length + 4];
    const inner = path ? `${path}.${type}` : `${type}`;
    const nests = body[0] === AF.BRIDGE ? BRIDGE_NESTS : NESTS;
    if (nests.includes(inner)) yield* attributes(body, at, at + length, inner);
  }
}

test("An attribute shorter than its value is read without the bytes behind it", () => {
  for (const [request, bodies] of messages()) {
    const { headerLength } = request.format;
    for (const body of bodies) {
      const view = new DataView(body.buffer);
      for (const [at, length] of attributes(body, headerLength, body.length)) {
        const end = (length + 3) & ~3;
        for (const shorter of [length - 1, length - 2, length - 3, 4]) {
          if (shorter < 4 || ((shorter + 3) & ~3) !== end) continue;
          const outcomes = [0, 0xff].map((filler) => {
            const cut = body.slice();
            new DataView(cut.buffer).setUint16(at, shorter, true);
            cut.fill(filler, at + shorter, at + end);
            return check(request, cut, `attribute ${view.getUint16(at + 2, true)} at ${at}`);
          });
          const what = `${request.typeName}: attribute ${
            view.getUint16(at + 2, true)
          } of ${shorter}`;
          assertEquals(outcomes[1], outcomes[0], what);
        }
      }
    }
  }
});

test("A message with broken attributes is an error, or has what is there", () => {
  const random = numbers();
  const next = (below: number) => random.next().value % below;
  for (const [request, bodies] of messages()) {
    for (const body of bodies) {
      for (let round = 0; round < 200; round++) {
        const broken = body.slice();
        for (let i = 0; i < 1 + round % 3; i++) broken[next(body.length)] = next(256);
        // Lengths are even-numbered words: hit those more often.
        if (round % 2) broken[next(body.length >> 2) << 2] = next(40);
        check(request, broken, `round ${round}`);
      }
    }
  }
});
