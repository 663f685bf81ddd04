import { assertEquals, assertThrows } from "@std/assert";
import { Link, Macvtap, NetNs, Veth } from "../../mod.ts";
import { run } from "../helpers.ts";
import { Testbed } from "../rtnetlink/testbed.ts";
import { CHANGED, MADE, REFUSED } from "./macvlan_table.ts";
import { kernelTest, testCases, testLacking, testRefusals } from "./oracle.ts";

const MACVTAP = { kind: "macvtap", create: Macvtap.create, get: Macvtap.get };

testLacking(MACVTAP, "CONFIG_MACVTAP", "macvtap");
testCases(MACVTAP, "made", MADE);
testCases(MACVTAP, "changed", CHANGED);
testRefusals(MACVTAP, REFUSED);
testRefusals(MACVTAP, REFUSED, { mode: "vepa" });

kernelTest("macvtap", "Macvtap.get() finds macvtaps, and nothing else", () => {
  using bed = new Testbed("ip link add link v0 name t0 type macvtap mode bridge");
  const netns = { ref: bed.netns };
  const link = Macvtap.get("t0", { netns });
  assertEquals([link.kind, link.owned, link.options().mode], ["macvtap", false, "bridge"]);
  run(bed.netns, "ip link add link v0 name m0 type macvlan mode bridge");
  for (const [name, kind] of [["m0", "macvlan"], ["v0", "veth"], ["lo", undefined]] as const) {
    assertThrows(
      () => Macvtap.get(name, { netns }),
      TypeError,
      `Link "${name}" is not a macvtap: its kind is ${kind}`,
    );
  }
});

kernelTest("macvtap", "Macvtap.create() takes a parent in another namespace", () => {
  using hub = NetNs.create();
  using netns = NetNs.create();
  const parent = Veth.create({ name: "eth0", netns: hub, peer: { name: "eth1", netns: hub } });
  const { parent: index, linkNetnsId } = Macvtap.create({ name: "t0", netns, parent }).read();
  assertEquals([index, linkNetnsId], [parent.index, netns.idOf(hub)]);
});

kernelTest("macvtap", "A macvtap keeps its list of senders on a change of link settings", () => {
  using bed = new Testbed();
  const netns = { ref: bed.netns };
  const macs = ["02:00:00:00:00:0a"];
  const link = Macvtap.create({ name: "t0", netns, parent: "v0", mode: "source", macs });
  link.set({ mtu: 1400, up: true, txqlen: 50 });
  link.down();
  link.rename("t1");
  assertEquals(link.macs.list(), macs);
  assertEquals(Link.get("t1", { netns }).read().mtu, 1400);
});
