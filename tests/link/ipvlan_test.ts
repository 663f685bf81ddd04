import { assert, assertEquals } from "@std/assert";
import { Ipvlan, Link, Macvlan, NetlinkError, NetNs, Veth } from "../../mod.ts";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { type IpvlanInfo, ipvlanSchema } from "../../src/rtnetlink/link_kinds/macvlan.ts";
import { fromHex, ip, toHex } from "../helpers.ts";
import { Testbed, V0 } from "../rtnetlink/testbed.ts";
import { CHANGED, MADE, REFUSED } from "./ipvlan_table.ts";
import { caught, kernelTest, testCases, testLacking, testRefusals } from "./oracle.ts";

const IPVLAN = { kind: "ipvlan", create: Ipvlan.create, get: Ipvlan.get };

// As Linux 6.12 and 6.1 sent them, but for the last.
const BYTES: [data: IpvlanInfo, bytes: string][] = [
  [{ mode: "l2", flag: "private" }, "06000100 00000000 06000200 01000000"],
  [{ mode: "l3s", flag: "vepa" }, "06000100 02000000 06000200 02000000"],
  [{ mode: "l3", flag: "bridge" }, "06000100 01000000 06000200 00000000"],
  [{ mode: "l3" }, "06000100 01000000"],
];

for (const [data, bytes] of BYTES) {
  Deno.test(`Options of an ipvlan become bytes, and back: ${Deno.inspect(data)}`, () => {
    const writer = new Writer();
    ipvlanSchema.write(writer, data);
    writer.align();
    assertEquals(toHex(writer.bytes.subarray(0, writer.length)), bytes);
    assertEquals(ipvlanSchema.read(writer, 0, writer.length), data);
  });
}

Deno.test("Options of an ipvlan that netloom does not know are read as numbers", () => {
  const bytes = fromHex("06000100 07000000 06000200 04000000");
  assertEquals(ipvlanSchema.read(source(bytes), 0, bytes.length), { mode: 7, flag: 4 });
});

testLacking(IPVLAN, "CONFIG_IPVLAN", "ipvlan", { mode: "l2", flag: "private" });
testCases(IPVLAN, "made", MADE);
testCases(IPVLAN, "changed", CHANGED);
testRefusals(IPVLAN, REFUSED);
testRefusals(IPVLAN, REFUSED, { mode: "l3s" });

kernelTest(
  "ipvlan",
  "Ipvlan.create() takes the parent as handle, name, index, and elsewhere",
  () => {
    using bed = new Testbed();
    const here = { ref: bed.netns };
    using there = NetNs.create();
    const handle = Link.get("v0", { netns: here });
    for (
      const [parent, netns] of [["v0", here], [V0, here], [handle, here], [handle, there]] as const
    ) {
      using link = Ipvlan.create({ name: "i0", netns, parent, mode: "l2" });
      assertEquals(link.read().parent, V0);
      assertEquals(link.read().linkNetnsId !== undefined, netns === there);
    }
  },
);

kernelTest("ipvlan", "All ipvlans of a parent have the mode and flag that was said last", () => {
  using bed = new Testbed();
  const create = (name: string, options: { mode?: "l2"; flag?: "private" }) =>
    Ipvlan.create({ name, netns: { ref: bed.netns }, parent: "v0", ...options });
  const first = create("i0", { mode: "l2", flag: "private" });
  const second = create("i1", {});
  assertEquals(first.options(), { mode: "l3", flag: "bridge" });
  second.set({ flag: "vepa" });
  assertEquals(first.options(), { mode: "l3", flag: "vepa" });
  second.set({ mode: "l3s" });
  assertEquals(first.options(), { mode: "l3s", flag: "vepa" });
});

kernelTest("ipvlan", "All ipvlans of a parent have its MAC", () => {
  using bed = new Testbed();
  const netns = { ref: bed.netns };
  for (const name of ["i0", "i1"]) {
    const link = Ipvlan.create({ name, netns, parent: "v0", mode: "l2" });
    assertEquals(link.read().mac, "02:00:00:00:00:10");
  }
});

kernelTest("ipvlan", "An ipvlan on an ipvlan is its sibling", () => {
  using bed = new Testbed();
  const netns = { ref: bed.netns };
  const parent = Ipvlan.create({ name: "i0", netns, parent: "v0", mode: "l2" });
  assertEquals(Ipvlan.create({ name: "i1", netns, parent, mode: "l2" }).read().parent, V0);
});

kernelTest("ipvlan", "A parent has macvlans or ipvlans", () => {
  using netns = NetNs.create();
  Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  Macvlan.create({ name: "m0", netns, parent: "v0" });
  Ipvlan.create({ name: "i0", netns, parent: "v1" });
  for (
    const step of [
      () => Ipvlan.create({ name: "x0", netns, parent: "v0" }),
      () => Macvlan.create({ name: "x0", netns, parent: "v1" }),
    ]
  ) {
    const error = caught(step);
    assert(error instanceof NetlinkError && error.code === "EBUSY", `${error}`);
  }
  assertEquals(ip(netns.ref, "-j link").length, 5);
});
