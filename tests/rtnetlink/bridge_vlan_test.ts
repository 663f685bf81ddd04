import { assertEquals, assertThrows } from "@std/assert";
import {
  addBridgeVlan,
  type BridgeVlanInfo,
  type BridgeVlanMessage,
  deleteBridgeVlan,
  dumpBridgeVlans,
  dumpVlansOf,
} from "../../src/rtnetlink/bridge_vlan.ts";
import { bodyOf, readReply } from "../helpers.ts";

const HEADER = "07000000 04000000 00000000 00000000";

// What iproute2 6.1 sends for each command, as strace shows it.
const REQUESTS: readonly [message: BridgeVlanMessage, command: string, body: string][] = [
  [
    { index: 4, vid: 10, end: 20, untagged: true },
    "bridge vlan add dev if4 vid 10-20 untagged master",
    `${HEADER} 1c001a00 06000000 01000000 08000200 0c000a00 08000200 14001400`,
  ],
  [
    { index: 4, vid: 30, pvid: true },
    "bridge vlan add dev if4 vid 30 pvid master",
    `${HEADER} 14001a00 06000000 01000000 08000200 02001e00`,
  ],
  [
    { index: 4, vid: 4094, pvid: true, untagged: true },
    "bridge vlan add dev if4 vid 4094 pvid untagged master",
    `${HEADER} 14001a00 06000000 01000000 08000200 0600fe0f`,
  ],
  [
    { index: 4, vid: 5, self: true },
    "bridge vlan add dev if4 vid 5 self",
    `${HEADER} 14001a00 06000000 02000000 08000200 00000500`,
  ],
  [
    { index: 4, vid: 5, end: 5 },
    "bridge vlan add dev if4 vid 5 master",
    `${HEADER} 14001a00 06000000 01000000 08000200 00000500`,
  ],
];

for (const [message, command, body] of REQUESTS) {
  Deno.test(`addBridgeVlan() sends what "${command}" sends`, () => {
    const request = addBridgeVlan(message, 'port "p1"');
    assertEquals(bodyOf(request), body);
    assertEquals([request.type, request.flags, request.command()], [19, 0, command]);
    const vlans = message.end === undefined ? message.vid : `${message.vid}-${message.end}`;
    assertEquals(request.operation, `add vlan ${vlans} of port "p1"`);
  });
}

Deno.test("deleteBridgeVlan() sends what iproute2 sends", () => {
  const request = deleteBridgeVlan({ index: 4, vid: 12, end: 14 });
  assertEquals(
    bodyOf(request),
    `${HEADER} 1c001a00 06000000 01000000 08000200 08000c00 08000200 10000e00`,
  );
  assertEquals([request.type, request.operation], [17, "delete vlan 12-14 of link 4"]);
  assertEquals(request.command(), "bridge vlan delete dev if4 vid 12-14 master");
});

Deno.test("dumpBridgeVlans() asks for ranges, and keeps what the filter lets pass", () => {
  const all = dumpBridgeVlans();
  assertEquals(bodyOf(all), "07000000 00000000 00000000 00000000 08001d00 04000000");
  assertEquals(all.command(), "bridge -compressvlans vlan show");
  const one = dumpBridgeVlans({ index: 4 });
  assertEquals(bodyOf(one), bodyOf(all));
  assertEquals([3, 4].map((index) => one.filter!({ index, vlans: [] })), [false, true]);
  assertEquals(one.command(), "bridge -compressvlans vlan show dev if4");
});

// As Linux 6.1 sent them.
const REPLIES: readonly [name: string, body: string, expected: BridgeVlanInfo][] = [
  [
    "a bridge's",
    `07000100 02000000 02100000 00000000 08000300 62723000 08000a00 02000000 08000400 dc050000
     05001000 02000000 0a000100 02000000 00aa0000 0c001a00 08000200 06000100`,
    { index: 2, vlans: [{ vid: 1, pvid: true, untagged: true }] },
  ],
  [
    "a port's",
    `07000100 04000000 02100000 00000000 07000300 70310000 08000a00 02000000 08000400 dc050000
     05001000 02000000 0a000100 02000000 00010000 08000500 03000000
     14000c80 05000100 00000000 06000200 20000000
     24001a00 08000200 04000100 08000200 0c000a00 08000200 14001400 08000200 02001e00`,
    {
      index: 4,
      vlans: [
        { vid: 1, pvid: false, untagged: true },
        { vid: 10, end: 20, pvid: false, untagged: true },
        { vid: 30, pvid: true, untagged: false },
      ],
    },
  ],
  [
    "a port's without any",
    "07000100 04000000 02100000 00000000 07000300 70310000 08000a00 02000000",
    { index: 4, vlans: [] },
  ],
];

for (const [name, body, expected] of REPLIES) {
  Deno.test(`readBridgeVlans() reads ${name} VLANs`, () => {
    assertEquals(readReply(dumpBridgeVlans(), body), expected);
  });
}

Deno.test("addBridgeVlan() and deleteBridgeVlan() check the range of a VLAN id", () => {
  for (const vid of [0, 4095, -1, 1.5, NaN, Infinity]) {
    for (const request of [addBridgeVlan, deleteBridgeVlan]) {
      const error = Number.isInteger(vid) ? RangeError : TypeError;
      assertThrows(() => bodyOf(request({ index: 4, vid })), error, `: got ${vid}`);
      assertThrows(() => bodyOf(request({ index: 4, vid: 1, end: vid })), error, `: got ${vid}`);
    }
  }
});

Deno.test("dumpVlansOf() asks for one port, and reads ranges and flags", () => {
  const request = dumpVlansOf(4);
  assertEquals(bodyOf(request), "07000000 04000000");
  // As Linux 6.12 sent it for VLAN 1, pvid and untagged, and VLANs 10 to 20.
  const body = `07000000 04000000
     24000180 08000100 06000100 05000300 03000000 05000900 00000000 05000600 01000000
     2c000180 08000100 00000a00 06000200 14000000 05000300 03000000 05000900 00000000 05000600
     01000000`;
  assertEquals(readReply(request, body), {
    index: 4,
    vlans: [{ vid: 1, pvid: true, untagged: true }, {
      vid: 10,
      end: 20,
      pvid: false,
      untagged: false,
    }],
  });
});
