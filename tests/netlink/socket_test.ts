// Connections over the kernel's own socket.
import { assert, assertEquals, assertGreater, assertMatch, assertThrows } from "@std/assert";
import { type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import { batch, connectionTo } from "../../src/netlink/connections.ts";
import { Connection } from "../../src/netlink/connection.ts";
import type { Result } from "../../src/netlink/outbox.ts";
import { NETLINK, type Request } from "../../src/netlink/message.ts";
import { DumpInterruptedError, NetlinkError } from "../../src/netlink/error.ts";
import { interceptSends, KernelSocket } from "../../src/netlink/socket.ts";
import {
  deleteLink,
  dumpAddresses,
  dumpLinks,
  getLink,
  type LinkInfo,
  newAddress,
  newLink,
  newRoute,
  RTM,
  setLink,
} from "../../src/rtnetlink/mod.ts";

/** Bridges: no kernel is without them. */
function addLinks(netns: NetNsRef, count: number): void {
  const links = Array.from(
    { length: count },
    (_, i) => newLink({ name: `b${i}`, linkInfo: { kind: "bridge" } }),
  );
  assert(connectionTo(netns).batch(links).every(({ ok }) => ok));
}

function code(result: Result<unknown>): string {
  return result.ok ? "ok" : (result.error as NetlinkError).code;
}

for (const count of [1, 128, 257, 3000]) {
  Deno.test(`A batch of ${count} brings every result of the kernel once, in order`, () => {
    using netns = newNetNs("test netns");
    // Links that are there, that are not, a change that is refused and one that is made.
    const kinds: [request: (i: number) => Request, outcome: string][] = [
      [() => getLink("lo"), "ok"],
      [(i) => getLink(1000 + i), "ENODEV"],
      [(i) => newAddress({ index: 1, address: `10.${i >> 8}.${i & 255}.1/32` }), "ok"],
      [() => newAddress({ index: 777, address: "10.0.0.1/32" }), "ENODEV"],
      [() => setLink({ index: 1, txqlen: 1000 }), "ok"],
    ];
    const kind = (i: number) => kinds[i % kinds.length]!;
    const results = batch((b) => {
      for (let i = 0; i < count; i++) b.add(kind(i)[0](i));
    }, { netns: { ref: netns } });
    assertEquals(results.map(code), Array.from({ length: count }, (_, i) => kind(i)[1]));
    for (const [i, result] of results.entries()) {
      if (i % kinds.length === 0) {
        assertEquals(result.ok && (result.value as LinkInfo).name, "lo");
      }
    }
    const made = results.filter((_, i) => i % kinds.length === 2).length;
    assertEquals(connectionTo(netns).dump(dumpAddresses()).length, made);
  });
}

Deno.test("A batch of 200 requests for data is answered in full", () => {
  using netns = newNetNs("test netns");
  addLinks(netns, 50);
  const results = connectionTo(netns).batch(
    Array.from({ length: 200 }, (_, i) => getLink(`b${i % 50}`)),
  );
  assertEquals(
    results.map((result) => result.ok && (result.value as LinkInfo).name),
    Array.from({ length: 200 }, (_, i) => `b${i % 50}`),
  );
});

Deno.test("Bad input in a batch leaves the kernel as it is", () => {
  using netns = newNetNs("test netns");
  const connection = connectionTo(netns);
  const good = newAddress({ index: 1, address: "10.0.0.1/32" });
  const bad = newAddress({ index: 1, address: "10.0.0.256/32" });
  assertThrows(() => connection.batch([good, good, bad]), TypeError, "10.0.0.256");
  assertEquals(connection.dump(dumpAddresses()), []);
  assertEquals(connection.request(good), undefined);
});

Deno.test("A socket whose buffer is full loses answers, not changes, and says which", () => {
  using netns = newNetNs("test netns");
  const socket = new KernelSocket(netns, NETLINK.ROUTE);
  socket.setReceiveBuffer(1);
  using connection = new Connection(() => socket, netns);
  const results = connection.batch(
    Array.from(
      { length: 300 },
      (_, i) => newAddress({ index: 1, address: `10.0.${i >> 8}.${i & 255}/32` }),
    ),
  );
  const codes = results.map(code);
  assertEquals(results.length, 300);
  assertEquals([...new Set(codes)].sort(), ["ENOBUFS", "ok"]);
  assertEquals(codes[0], "ok");
  assertEquals(connectionTo(netns).dump(dumpAddresses()).length, 300);
  assertEquals(connection.request(getLink("lo")).index, 1);
});

Deno.test("A datagram of many messages is not cut off", () => {
  using netns = newNetNs("test netns");
  addLinks(netns, 120);
  const connection = connectionTo(netns);
  assertEquals(connection.dump(dumpLinks()).length, 121);
  assertEquals(connection.dump(dumpLinks()).length, 121);
});

/** Changes the table of links in the middle of the first few dumps. */
class MeddlingSocket extends KernelSocket {
  readonly #other: Connection;
  #dumps: number;
  #due = false;

  constructor(netns: NetNsRef, dumps: number) {
    super(netns, NETLINK.ROUTE);
    this.#other = connectionTo(netns);
    this.#dumps = dumps;
  }

  override send(bytes: Uint8Array<ArrayBuffer>, length: number): void {
    super.send(bytes, length);
    this.#due = this.#dumps-- > 0;
  }

  override receive(buffer: Uint8Array<ArrayBuffer>): number {
    const length = super.receive(buffer);
    if (this.#due) {
      this.#due = false;
      this.#other.request(newLink({ name: "passing", linkInfo: { kind: "bridge" } }));
      this.#other.request(deleteLink({ name: "passing" }));
    }
    return length;
  }
}

Deno.test("A dump that the kernel marks as interrupted is read again", () => {
  using netns = newNetNs("test netns");
  addLinks(netns, 100);
  const socket = new MeddlingSocket(netns, 1);
  using connection = new Connection(() => socket, netns);
  let sends = 0;
  using _sends = interceptSends((bytes) => sends += bytes[4] === RTM.GETLINK ? 1 : 0);
  const links = connection.dump(dumpLinks());
  assertEquals(links.length, 101);
  assertEquals(new Set(links.map(({ index }) => index)).size, 101);
  assertEquals(sends, 2);
});

Deno.test("A dump that the kernel always marks as interrupted ends in an error", () => {
  using netns = newNetNs("test netns");
  addLinks(netns, 100);
  using connection = new Connection(() => new MeddlingSocket(netns, Infinity), netns);
  const error = assertThrows(() => connection.dump(dumpLinks()), DumpInterruptedError);
  assertGreater(error.partial.length, 90);
  assertEquals(connectionTo(netns).dump(dumpLinks()).length, 101);
});

Deno.test("A namespace has one connection, which its reference closes", () => {
  const netns = newNetNs("test netns");
  const connection = connectionTo(netns);
  assertEquals(connectionTo(netns) === connection, true);
  assertEquals(connection.request(getLink("lo")).index, 1);
  netns.close();
  assertThrows(() => connection.request(getLink("lo")), TypeError, "closed");
});

Deno.test("Connections of two namespaces see one each", () => {
  using one = newNetNs("one");
  using two = newNetNs("two");
  addLinks(one, 1);
  assertEquals(connectionTo(one).dump(dumpLinks()).length, 2);
  assertEquals(connectionTo(two).dump(dumpLinks()).length, 1);
});

Deno.test("The kernel's own words reach the error", () => {
  using netns = newNetNs("test netns");
  const connection = connectionTo(netns);
  const route = assertThrows(
    () => connection.request(newRoute({ destination: "10.0.0.0/8", gateway: "192.0.2.1" })),
    NetlinkError,
    "add route 10.0.0.0/8 via 192.0.2.1 in test netns: Network is unreachable (ENETUNREACH): ",
  );
  assertMatch(route.ack.message ?? "", /invalid gateway/);
  const link = assertThrows(
    () => connection.request(newLink({ name: "lo2", linkInfo: { kind: "nosuchkind" } })),
    NetlinkError,
    'create nosuchkind "lo2" in test netns: Operation not supported (EOPNOTSUPP): ',
  );
  assertMatch(link.ack.message ?? "", /device type/);
});

Deno.test("A policy of the kernel comes with the attribute it is for", () => {
  using netns = newNetNs("test netns");
  const connection = connectionTo(netns);
  const format = getLink("lo").format;
  // MTU in two bytes: not what the schema writes.
  const request: Request<LinkInfo> = {
    ...getLink("lo"),
    format: {
      ...format,
      write: (writer) => {
        writer.reserve(16);
        const at = writer.begin(4);
        writer.reserve(2);
        writer.end(at);
      },
    },
  };
  const error = assertThrows(() => connection.request(request), NetlinkError);
  assertEquals(error.ack.attribute, ["IFLA_MTU"]);
  assertMatch(error.ack.policy ?? "", /^u32/);
});
