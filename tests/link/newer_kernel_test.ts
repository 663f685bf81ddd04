// What a kernel from the future would send: this one's links, with more in them than is known today.
import { assert, assertEquals } from "@std/assert";
import { Connection } from "../../src/netlink/connection.ts";
import type { DumpRequest } from "../../src/netlink/message.ts";
import { unknownAttributes } from "../../src/netlink/schema.ts";
import { dumpLinks, kindOf, type LinkInfo } from "../../src/rtnetlink/mod.ts";
import { attribute, concat, cString, done, FakeSocket, message } from "../netlink/fake_socket.ts";
import { BRIDGE, Testbed } from "../rtnetlink/testbed.ts";
import { kernelTest } from "./oracle.ts";

/** How to make a link of each kind, beside a bridge whose port is `v1`. */
const KINDS: Record<string, string> = {
  veth: "",
  bridge: "",
  dummy: "ip link add t0 type dummy",
  ifb: "ip link add t0 type ifb",
  vlan: "ip link add t0 link v0 type vlan id 5 loose_binding on ingress 1:2 3:4 egress 5:6",
  macvlan: "ip link add t0 link v0 type macvlan mode source macaddr add 02:00:00:00:00:05",
  macvtap: "ip link add t0 link v0 type macvtap mode vepa",
  ipvlan: "ip link add t0 link v0 type ipvlan mode l2 private",
  ipvtap: "ip link add t0 link v0 type ipvtap mode l3",
};

/** Bytes of `struct ifinfomsg`. */
const HEADER = 16;
const IFLA = { STATS64: 23, LINKINFO: 18 };
const IFLA_INFO = { KIND: 1, DATA: 2, SLAVE_DATA: 5 };

/** By kind, the attributes in its IFLA_INFO_DATA that are structs, and lists of structs. */
const STRUCTS: Record<string, readonly number[]> = { vlan: [2], bridge: [10, 11, 46] };
const LISTS: Record<string, readonly number[]> = { vlan: [3, 4] };
/** The same of a bridge port: its root and its bridge. */
const PORT_STRUCTS = [13, 14];

/** An attribute that no kernel has, in a size that nothing has. */
const NEWS = attribute(0x3ffe, new Uint8Array(13).fill(0xaa));
const MORE = new Uint8Array(8).fill(0xaa);

type Change = (type: number, payload: Uint8Array<ArrayBuffer>) => Uint8Array;

/** Attributes with their payloads changed. */
function enlarged(bytes: Uint8Array<ArrayBuffer>, change: Change): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint16(at, true);
    const type = view.getUint16(at + 2, true);
    parts.push(attribute(type, change(type & 0x3fff, bytes.slice(at + 4, at + length))));
    at += (length + 3) & ~3;
  }
  return concat(...parts);
}

/** The same, with a new attribute ahead of them and behind. */
function grown(bytes: Uint8Array<ArrayBuffer>, change: Change): Uint8Array<ArrayBuffer> {
  return concat(NEWS, enlarged(bytes, change), NEWS);
}

/** A message about a link as a newer kernel would send it, for which the kind may have another name. */
function newer(body: Uint8Array<ArrayBuffer>, kind: string, name = kind): Uint8Array {
  const isStruct = (types: readonly number[] = []): Change => (type, payload) =>
    types.includes(type) ? concat(payload, MORE) : payload;
  const data: Change = (type, payload) =>
    LISTS[kind]?.includes(type)
      ? enlarged(payload, (_, mapping) => concat(mapping, MORE))
      : isStruct(STRUCTS[kind])(type, payload);
  const info: Change = (type, payload) =>
    type === IFLA_INFO.KIND
      ? cString(name)
      : type === IFLA_INFO.DATA
      ? grown(payload, data)
      : type === IFLA_INFO.SLAVE_DATA
      ? grown(payload, isStruct(PORT_STRUCTS))
      : payload;
  const link: Change = (type, payload) =>
    type === IFLA.LINKINFO
      ? grown(payload, info)
      : type === IFLA.STATS64
      ? concat(payload, MORE)
      : payload;
  return concat(body.slice(0, HEADER), grown(body.slice(HEADER), link));
}

/** Reads messages as the answer to a dump. */
function decode(bodies: readonly Uint8Array[]): LinkInfo[] {
  using socket = new FakeSocket(([sent]) => {
    for (const body of bodies) socket.queue(message(16, 2, sent!.sequence, body));
    socket.queue(done(sent!));
  });
  return new Connection(() => socket, { description: "a newer kernel", netnsName: undefined }).dump(
    dumpLinks(),
  );
}

/** Asserts that a set kept what nobody knows, and takes it away. */
function forget(set: unknown, what: string): void {
  const holder = set as { [unknownAttributes]?: { type: number; bytes: Uint8Array }[] };
  const news = holder[unknownAttributes]!.filter(({ type }) => type === 0x3ffe);
  assertEquals(news.map(({ bytes }) => bytes.length), [13, 13], what);
  holder[unknownAttributes] = holder[unknownAttributes]!.filter(({ type }) => type !== 0x3ffe);
  if (holder[unknownAttributes].length === 0) delete holder[unknownAttributes];
}

for (const [kind, line] of Object.entries(KINDS)) {
  kernelTest(kind, `A ${kind} with what a newer kernel adds reads as without it`, () => {
    using bed = new Testbed(...BRIDGE, ...(line ? [line] : []));
    const { filter: _all, fallback: _none, ...request } = dumpLinks({ kind });
    const raw: DumpRequest<Uint8Array<ArrayBuffer>> = {
      ...request,
      reply: ({ bytes }, start, end) => bytes.slice(start, end),
    };
    const bodies = bed.connection.dump(raw);
    const expected = decode(bodies);
    assert(expected.every((link) => link.kind === kind) && expected.length > 0);
    const read = decode(bodies.map((body) => newer(body, kind)));
    for (const link of read) {
      forget(link, "link");
      if (link.kind !== undefined && Object.hasOwn(link.options, unknownAttributes)) {
        forget(link.options, "options");
      }
      if (link.port) forget(link.port.options, "port");
    }
    assertEquals(read, expected);

    const renamed = decode(bodies.map((body) => newer(body, kind, `${kind}2`)));
    for (const link of renamed) {
      assert(link.kind === "unknown" && link.options instanceof Uint8Array);
      assertEquals(kindOf(link), `${kind}2`);
    }
  });
}
