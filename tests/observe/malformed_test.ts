// Messages that cannot be read: an error for those who read one, an overrun for a monitor.
import { assert, assertEquals } from "@std/assert";
import { C } from "../../ffi/libc.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { Socket } from "../../ffi/socket.ts";
import { source } from "../../src/netlink/bytes.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import type { Connection } from "../../src/netlink/connection.ts";
import { forEachMessage, NETLINK } from "../../src/netlink/message.ts";
import { NetlinkDecodeError } from "../../src/netlink/error.ts";
import { Subscription } from "../../src/netlink/socket.ts";
import { monitor } from "../../src/observe/monitor.ts";
import { groupsOf, State } from "../../src/observe/state.ts";
import { RTM, RTNLGRP } from "../../src/rtnetlink/constants.ts";
import { bridge, ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { collect, inNetNs, line, Replica, snapshotOf, viewOf, viewOfSnapshot } from "./lab.ts";
import "../../src/traffic/mod.ts";

const ALL = {
  ...{ links: true, addresses: true, routes: true, neighbors: true, fdb: true },
  ...{ rules: true, qdiscs: true, classes: true, filters: true },
};

/** A whole message: the netlink header, and a body. */
function message(type: number, body: readonly number[], length = 16 + body.length) {
  const bytes = new Uint8Array(16 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  bytes.set(body, 16);
  return bytes;
}

/** Sends a datagram to all members of a group, as the kernel does. */
function multicast(ref: NetNsRef, group: number, datagram: Uint8Array<ArrayBuffer>): void {
  using socket = new Socket(ref, C.AF_NETLINK, C.SOCK_RAW, NETLINK.ROUTE, "open a socket");
  const address = new Uint8Array(12); // struct sockaddr_nl: family, pad, port id, groups
  const view = new DataView(address.buffer);
  view.setUint16(0, C.AF_NETLINK, true);
  view.setUint32(8, 1 << (group - 1), true);
  assert(socket.sendTo(datagram, datagram.length, address, "send"));
}

const MALFORMED: Record<string, Uint8Array<ArrayBuffer>> = {
  "a datagram shorter than a header": new Uint8Array(7),
  "a message longer than its datagram": message(RTM.NEWLINK, [0, 0, 0, 0], 64),
  "a message shorter than its header": message(RTM.NEWLINK, [0, 0, 0, 0], 4),
  "a link without its header": message(RTM.NEWLINK, [0, 0, 0, 0]),
  "a removal of a link without its header": message(RTM.DELLINK, []),
  "an address without its header": message(RTM.NEWADDR, [2, 24]),
  "a route without its header": message(RTM.DELROUTE, [2, 24, 0, 0]),
  "a neighbor without its header": message(RTM.NEWNEIGH, [2, 0, 0, 0]),
  "an attribute longer than its message": message(RTM.NEWADDR, [
    2,
    24,
    0,
    0,
    1,
    0,
    0,
    0,
    40,
    0,
    1,
    0,
  ]),
  "an attribute shorter than its value": message(
    RTM.NEWLINK,
    [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 4, 0, 1, 0, 0, 0],
  ),
};

for (const [name, datagram] of Object.entries(MALFORMED)) {
  test(`monitor() reports an overrun for ${name}, and goes on`, () =>
    inNetNs(async (ref) => {
      ip(ref, "link add br0 up type bridge");
      await using events = monitor({ netns: { ref }, ...ALL });
      const replica = new Replica(await snapshotOf(events));
      multicast(ref, RTNLGRP.LINK, datagram);
      ip(ref, "link set br0 mtu 1400");
      const seen = await collect(events, ref);
      for (const event of seen) replica.apply(event);
      const overrun = seen.find((event) => event.type === "overrun");
      assert(overrun?.error instanceof NetlinkDecodeError, seen.map(line).join());
      assert(seen.some((event) => line(event) === "link change br0 mtu"));
      assertEquals(viewOfSnapshot(replica.tables).links, viewOf(ref).links);
    }));
}

test("monitor() reads the tables again when a message cannot be read while it starts", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 up type bridge");
    // Each reading of the tables meets one: `settle` is what reads first.
    const connection = connectionTo(ref);
    const request = connection.request;
    let count = 0;
    connection.request = function <T>(...args: Parameters<typeof request<T>>): T {
      if (count++ < 2) multicast(ref, RTNLGRP.LINK, MALFORMED["a link without its header"]!);
      return request.apply(this, args) as T;
    };
    await using events = monitor({ netns: { ref }, links: true });
    const { links } = await snapshotOf(events);
    assertEquals(links.map((link) => link.name), ["lo", "br0"]);
    assertEquals(count, 3);
    connection.request = request;
    ip(ref, "link set br0 mtu 1400");
    assertEquals((await collect(events, ref)).map(line), ["link change br0 mtu"]);
  }));

/** Messages of the kernel, each alone. */
async function recorded(): Promise<Uint8Array<ArrayBuffer>[]> {
  const messages: Uint8Array<ArrayBuffer>[] = [];
  await inNetNs((ref) => {
    using subscription = new Subscription(ref, groupsOf(ALL));
    ip(ref, "link add br0 up type bridge");
    ip(ref, "link add v0 type veth peer name v1");
    ip(ref, "link set v1 up master br0");
    ip(ref, "link set v0 up alias one");
    ip(ref, "link property add dev v0 altname another");
    ip(ref, "address add 10.0.0.1/24 dev v0");
    ip(ref, "address add fd00::1/64 dev v0 nodad");
    ip(ref, "route add 10.9.0.0/16 via 10.0.0.2 mtu 1400");
    ip(ref, "route add 10.8.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3");
    ip(ref, "-6 route add fd09::/64 nexthop via fd00::2 nexthop via fd00::3");
    ip(ref, "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0");
    bridge(ref, "fdb add 02:00:00:00:00:99 dev v1 master static");
    ip(ref, "rule add from 10.7.0.0/16 lookup 7");
    ip(ref, "link delete v0");
    subscription.drain(({ start, end }, { bytes }) => {
      messages.push(bytes.slice(start - 16, end));
    });
    return Promise.resolve();
  }, { ipv6: true });
  return messages;
}

/** What a state makes of a message that is cut off, with other bytes behind it. */
function applied(whole: Uint8Array<ArrayBuffer>, length: number, behind: number): string {
  const bytes = new Uint8Array(whole.length + 64).fill(behind);
  bytes.set(whole.subarray(0, length));
  const memory = source(bytes);
  memory.view.setUint32(0, length, true);
  const state = new State(ALL, { dump: () => [] } as unknown as Connection);
  try {
    forEachMessage(memory, length, (header) => state.apply(header, memory));
    return JSON.stringify(state.events);
  } catch (error) {
    if (!(error instanceof NetlinkDecodeError)) throw error;
    return error.message;
  }
}

test("Messages of the kernel that are cut off at any byte are refused or read without what is behind", async () => {
  const messages = await recorded();
  const types = new Set(messages.map((bytes) => bytes[4]));
  for (const type of [RTM.NEWLINK, RTM.DELLINK, RTM.NEWADDR, RTM.NEWROUTE, RTM.NEWNEIGH]) {
    assert(types.has(type), `no message of type ${type}`);
  }
  for (const whole of messages) {
    for (let length = 16; length <= whole.length; length++) {
      assertEquals(applied(whole, length, 0xff), applied(whole, length, 0x01));
    }
  }
});
