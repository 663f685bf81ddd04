import { assertEquals, assertThrows } from "@std/assert";
import { Ipvtap, NetNs, Veth } from "../../mod.ts";
import { run } from "../helpers.ts";
import { Testbed } from "../rtnetlink/testbed.ts";
import { CHANGED, MADE, REFUSED } from "./ipvlan_table.ts";
import { kernelTest, testCases, testLacking, testRefusals } from "./oracle.ts";

const IPVTAP = { kind: "ipvtap", create: Ipvtap.create, get: Ipvtap.get };

testLacking(IPVTAP, "CONFIG_IPVTAP", "ipvtap", { mode: "l2" });
testCases(IPVTAP, "made", MADE);
testCases(IPVTAP, "changed", CHANGED);
testRefusals(IPVTAP, REFUSED);
testRefusals(IPVTAP, REFUSED, { mode: "l2" });

kernelTest("ipvtap", "Ipvtap.get() finds ipvtaps, and nothing else", () => {
  using bed = new Testbed("ip link add link v0 name t0 type ipvtap mode l2");
  const netns = { ref: bed.netns };
  const link = Ipvtap.get("t0", { netns });
  assertEquals([link.kind, link.owned, link.options().mode], ["ipvtap", false, "l2"]);
  run(bed.netns, "ip link add link v0 name i0 type ipvlan mode l2");
  assertThrows(
    () => Ipvtap.get("i0", { netns }),
    TypeError,
    'Link "i0" is not a ipvtap: its kind is ipvlan',
  );
});

kernelTest("ipvtap", "Ipvtap.create() takes a parent in another namespace", () => {
  using hub = NetNs.create();
  using netns = NetNs.create();
  const parent = Veth.create({ name: "eth0", netns: hub, peer: { name: "eth1", netns: hub } });
  // The kernel does not say in which namespace, other than for ipvlan.
  assertEquals(Ipvtap.create({ name: "t0", netns, parent }).read().parent, parent.index);
});
