import { assertEquals } from "@std/assert";
import { source, Writer } from "../../src/netlink/bytes.ts";
import type { Connection } from "../../src/netlink/connection.ts";
import { moveOf, portMemberData, State } from "../../src/observe/state.ts";
import { AF, RTM } from "../../src/rtnetlink/constants.ts";
import { linkFormat, type LinkMessage } from "../../src/rtnetlink/link.ts";
import { IFLA } from "../../src/rtnetlink/link_attributes.ts";
import { line } from "./lab.ts";

/** A connection to an empty namespace. */
const nothing = { dump: () => [] } as unknown as Connection;

const NONE = {
  ...{ links: false, addresses: false, routes: false, neighbors: false, fdb: false, rules: false },
  ...{ qdiscs: false, classes: false, filters: false },
};

const HEADER = { type: RTM.NEWLINK, flags: 0, sequence: 0, start: 0 };

/** A link message with further attributes. */
function linkMessage(message: LinkMessage, further: [type: number, bytes: number[]][] = []) {
  const writer = new Writer();
  linkFormat.write(writer, message);
  for (const [type, bytes] of further) {
    const at = writer.begin(type);
    writer.append(Uint8Array.from(bytes));
    writer.end(at);
  }
  return source(writer.bytes.slice(0, writer.length));
}

Deno.test("A message with a part of a link only is no change", () => {
  const state = new State({ ...NONE, links: true }, nothing);
  const apply = (message: LinkMessage) => {
    const body = linkMessage(message);
    state.apply({ ...HEADER, end: body.bytes.length }, body);
    return state.events.splice(0).map(line);
  };
  const link = { index: 3, name: "wlan0", mtu: 1500, alias: "a" };
  assertEquals(apply(link), ["link add wlan0"]);
  assertEquals(apply({ index: 3, name: "wlan0" }), []);
  assertEquals(apply({ ...link, family: AF.INET6, mtu: 1400 }), []);
  assertEquals(apply({ ...link, mtu: 1400 }), ["link change wlan0 mtu"]);
});

Deno.test("portMemberData() reads the options of a port, if the message has any", () => {
  const read = (further: [number, number[]][]) => {
    const body = linkMessage({ index: 3, family: AF.BRIDGE }, further);
    return portMemberData({ ...HEADER, end: body.bytes.length }, body);
  };
  const nested = IFLA.PROTINFO | 1 << 15;
  assertEquals(read([[nested, [5, 0, 1, 0, 3, 0, 0, 0]]]), { state: "forwarding" });
  assertEquals(read([[IFLA.PROTINFO, [3]]]), undefined); // kernels before 3.0
  assertEquals(read([]), undefined);
});

Deno.test("moveOf() reads the new place of a link, if the message has namespace and index", () => {
  const read = (further: [number, number[]][]) => {
    const body = linkMessage({ index: 3 }, further);
    return moveOf({ ...HEADER, end: body.bytes.length }, body);
  };
  const [netnsId, index] = [[2, 0, 0, 0], [7, 0, 0, 0]];
  assertEquals(read([[IFLA.NEW_NETNSID, netnsId], [IFLA.NEW_IFINDEX, index]]), {
    netnsId: 2,
    index: 7,
  });
  assertEquals(read([[IFLA.NEW_NETNSID, netnsId]]), undefined);
  assertEquals(read([]), undefined);
});
