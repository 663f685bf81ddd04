import { assert, assertEquals } from "@std/assert";
import { Link, NetlinkError, NetNs, Veth, Vlan } from "../../mod.ts";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { type VlanData, vlanSchema } from "../../src/rtnetlink/link_kinds/vlan.ts";
import { fromHex, ip, toHex } from "../helpers.ts";
import { Testbed, V0 } from "../rtnetlink/testbed.ts";
import {
  type Case,
  caught,
  kernelTest,
  type Refusal,
  testCases,
  testLacking,
  testRefusals,
} from "./oracle.ts";

const VLAN = { kind: "vlan", create: Vlan.create, get: Vlan.get };

const DEFAULTS = {
  reorderHdr: true,
  gvrp: false,
  mvrp: false,
  looseBinding: false,
  bridgeBinding: false,
};

// As Linux 6.12 and 6.1 sent them.
const READ: [bytes: string, data: VlanData][] = [
  [
    `06000500 88a80000 06000100 05000000 0c000200 02000000 ffffffff 1c000400 0c000100 01000000
     02000000 0c000100 03000000 04000000 1c000300 0c000100 00000000 01000000 0c000100 04000000
     05000000`,
    {
      protocol: "802.1ad",
      id: 5,
      flags: { ...DEFAULTS, reorderHdr: false, gvrp: true },
      ingressQosMap: { 1: 2, 3: 4 },
      egressQosMap: { 0: 1, 4: 5 },
    },
  ],
  [
    "06000500 81000000 06000100 fe0f0000 0c000200 01000000 ffffffff",
    { protocol: "802.1Q", id: 4094, flags: DEFAULTS },
  ],
];

for (const [bytes, data] of READ) {
  Deno.test(`Options of a vlan are read from bytes: id ${data.id}`, () => {
    const all = fromHex(bytes);
    assertEquals(vlanSchema.read(source(all), 0, all.length), data);
  });
}

const WRITTEN: [data: VlanData, bytes: string][] = [
  [{ id: 5, protocol: "802.1ad" }, "06000100 05000000 06000500 88a80000"],
  [{ id: 0, protocol: 0x8100 }, "06000100 00000000 06000500 81000000"],
  [{ flags: { gvrp: true, reorderHdr: false } }, "0c000200 02000000 03000000"],
  [
    { flags: { looseBinding: true, mvrp: true, bridgeBinding: true } },
    "0c000200 1c000000 1c000000",
  ],
  [
    { ingressQosMap: { 7: 0xffffffff, 0: 1 } },
    "1c000480 0c000100 00000000 01000000 0c000100 07000000 ffffffff",
  ],
  [{ egressQosMap: { 4294967295: 7 } }, "10000380 0c000100 ffffffff 07000000"],
];

for (const [data, bytes] of WRITTEN) {
  Deno.test(`Options of a vlan become bytes: ${Deno.inspect(data)}`, () => {
    const writer = new Writer();
    vlanSchema.write(writer, data);
    writer.align();
    assertEquals(toHex(writer.bytes.subarray(0, writer.length)), bytes);
    const { flags: _, protocol: __, ...read } = vlanSchema.read(writer, 0, writer.length);
    const { flags: ___, protocol: ____, ...rest } = data;
    assertEquals(read, rest);
  });
}

const id = 5;

const MADE: Case[] = [
  {
    name: "an id alone",
    options: { id },
    words: "id 5",
    shown: { id, protocol: "802.1Q", flags: ["REORDER_HDR"] },
    read: { id, protocol: "802.1Q", ...DEFAULTS, ingressQosMap: {}, egressQosMap: {} },
  },
  ...[0, 1, 4094].map((id) => ({
    name: `id ${id}`,
    options: { id },
    words: `id ${id}`,
    shown: { id },
  })),
  ...(["802.1Q", "802.1ad"] as const).map((protocol) => ({
    name: `protocol ${protocol}`,
    options: { id, protocol },
    words: `id 5 protocol ${protocol}`,
    shown: { id, protocol },
  })),
  {
    name: "no reordering",
    options: { id, reorderHdr: false },
    words: "id 5 reorder_hdr off",
    shown: { id },
  },
  ...([["gvrp", "gvrp", "GVRP"], ["mvrp", "mvrp", "MVRP"], [
    "looseBinding",
    "loose_binding",
    "LOOSE_BINDING",
  ], ["bridgeBinding", "bridge_binding", "BRIDGE_BINDING"]] as const).map((
    [option, word, flag],
  ) => ({
    name: option,
    options: { id, [option]: true },
    words: `id 5 ${word} on`,
    shown: { flags: ["REORDER_HDR", flag] },
  })),
  {
    name: "maps",
    options: { id, ingressQosMap: { 1: 2, 7: 4294967295 }, egressQosMap: { 0: 1, 4294967295: 7 } },
    words: "id 5 ingress-qos-map 1:2 7:4294967295 egress-qos-map 0:1 4294967295:7",
    shown: { ingress_qos: [{ from: 1, to: 2 }, { from: 7, to: 4294967295 }] },
  },
  {
    name: "maps to 0, which are none",
    options: { id, ingressQosMap: { 1: 0 }, egressQosMap: { 3: 0 } },
    words: "id 5",
    shown: { id },
    read: { ingressQosMap: {}, egressQosMap: {} },
  },
  {
    name: "empty maps",
    options: { id, ingressQosMap: {}, egressQosMap: {} },
    words: "id 5",
    shown: { id },
  },
];

const CHANGED: Case[] = [
  {
    name: "flags, those that are named",
    before: { id, gvrp: true },
    options: { mvrp: true, reorderHdr: false },
    words: "mvrp on reorder_hdr off",
    shown: { flags: ["GVRP", "MVRP"] },
    read: { gvrp: true, mvrp: true, reorderHdr: false },
  },
  {
    name: "loose binding off",
    before: { id, looseBinding: true },
    options: { looseBinding: false },
    words: "loose_binding off",
    shown: { flags: ["REORDER_HDR"] },
  },
  {
    name: "an entry of each map, others stay",
    before: { id, ingressQosMap: { 1: 2, 3: 4 }, egressQosMap: { 0: 1, 5: 5 } },
    options: { ingressQosMap: { 1: 5 }, egressQosMap: { 5: 6 } },
    words: "ingress-qos-map 1:5 egress-qos-map 5:6",
    shown: { ingress_qos: [{ from: 1, to: 5 }, { from: 3, to: 4 }] },
    read: { ingressQosMap: { 1: 5, 3: 4 }, egressQosMap: { 0: 1, 5: 6 } },
  },
  {
    name: "an entry of each map goes",
    before: { id, ingressQosMap: { 1: 2, 3: 4 }, egressQosMap: { 0: 1, 5: 5 } },
    options: { ingressQosMap: { 1: 0 }, egressQosMap: { 5: 0 } },
    words: "ingress-qos-map 1:0 egress-qos-map 5:0",
    shown: { ingress_qos: [{ from: 3, to: 4 }] },
    read: { ingressQosMap: { 3: 4 }, egressQosMap: { 0: 1 } },
  },
];

const REFUSED: Refusal[] = [
  [{ gvrp: 1 }, "TypeError", "gvrp must be a boolean: got 1"],
  [{ reorderHdr: null }, "TypeError", "reorderHdr must be a boolean: got null"],
  [{ ingressQosMap: { 8: 1 } }, "RangeError", "ingressQosMap must map 0..7 to 0..4294967295"],
  [{ ingressQosMap: { 1: 2 ** 32 } }, "RangeError", "got 1 to 4294967296"],
  [{ ingressQosMap: { x: 1 } }, "RangeError", "ingressQosMap must map 0..7"],
  [{ ingressQosMap: { 1: "2" } }, "RangeError", "ingressQosMap must map 0..7"],
  [{ egressQosMap: { 1: 8 } }, "RangeError", "egressQosMap must map 0..4294967295 to 0..7"],
  [{ egressQosMap: { "-1": 1 } }, "RangeError", "egressQosMap must map"],
  [{ egressQosMap: null }, "TypeError", "egressQosMap must map numbers: got null"],
  [{ egressQosMap: 5 }, "TypeError", "egressQosMap must map numbers"],
  [{ vid: 5 }, "TypeError", 'Unknown option "vid"'],
];

testLacking(VLAN, "CONFIG_VLAN_8021Q", "8021q", { id });
testCases(VLAN, "made", MADE);
testCases(VLAN, "changed", CHANGED);
testRefusals(VLAN, [
  ...REFUSED.map(([options, ...rest]): Refusal => [{ id, ...options }, ...rest]),
  [{}, "TypeError", "id must be the number of a VLAN: got undefined"],
  [{ id: 4095 }, "RangeError", "id must be in 0..4094: got 4095"],
  [{ id: -1 }, "RangeError", "id must be in 0..4094"],
  [{ id: "5" }, "TypeError", "id must be an integer"],
  [{ id, protocol: "802.1q" }, "TypeError", 'protocol must be one of "802.1Q", "802.1ad"'],
  [{ id, protocol: 0x0800 }, "NetlinkError", "(EPROTONOSUPPORT)"],
]);
testRefusals(VLAN, [
  ...REFUSED,
  [{ id: 6 }, "TypeError", "id of a vlan cannot be changed: got 6"],
  [{ protocol: "802.1ad" }, "TypeError", "protocol of a vlan cannot be changed"],
], { id });

kernelTest("vlan", "A parent has one link for a VLAN", () => {
  using bed = new Testbed();
  const netns = { ref: bed.netns };
  const create = (name: string, protocol: "802.1Q" | "802.1ad") =>
    Vlan.create({ name, netns, parent: V0, id, protocol });
  create("a", "802.1Q");
  create("b", "802.1ad");
  const error = caught(() => create("c", "802.1Q"));
  assert(error instanceof NetlinkError && error.code === "EEXIST", `${error}`);
  assertEquals(ip(bed.netns, "-j link").length, 5);
});

kernelTest("vlan", "A vlan is up while its parent is, or its binding is loose", () => {
  using netns = NetNs.create();
  const parent = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  const error = caught(() => Vlan.create({ name: "v0.5", netns, parent, id, up: true }));
  assert(error instanceof NetlinkError && error.code === "ENETDOWN", `${error}`);
  assertEquals(netns.links.list().length, 3);
  Vlan.create({ name: "v0.5", netns, parent, id, up: true, looseBinding: true });
});

kernelTest("vlan", "Vlan.create() takes the parent as handle, name, index, and elsewhere", () => {
  using bed = new Testbed();
  const here = { ref: bed.netns };
  using there = NetNs.create();
  const handle = Link.get("v0", { netns: here });
  for (
    const [parent, netns] of [["v0", here], [V0, here], [handle, here], [handle, there]] as const
  ) {
    using link = Vlan.create({ name: "t0", netns, parent, id });
    assertEquals(link.read().parent, V0);
    assertEquals(link.read().linkNetnsId !== undefined, netns === there);
  }
});
