import { assert } from "@std/assert";
import { Ifb } from "../../mod.ts";
import { run } from "../helpers.ts";
import { kernelTest } from "./oracle.ts";
import { assertReaches, PARENT, Rig } from "./rig.ts";

kernelTest("ifb", "ifb: what comes in takes the way through it, and arrives", async () => {
  await using rig = new Rig();
  const { hub: netns, scope } = rig;
  const ifb = Ifb.create({ scope, name: "ifb0", netns, up: true });
  run(netns.ref, "tc qdisc add dev eth0 ingress");
  run(
    netns.ref,
    "tc filter add dev eth0 parent ffff: protocol all u32 match u32 0 0 " +
      "action mirred egress redirect dev ifb0",
  );
  run(netns.ref, "tc qdisc add dev ifb0 root tbf rate 100mbit burst 100kb latency 50ms");
  const before = ifb.stats().txPackets;
  await assertReaches(rig.outside, PARENT);
  assert(ifb.stats().txPackets > before);
  ifb.down();
  const { received } = await rig.outside.ping(PARENT, { timeout: 300 });
  assert(received === 0);
});
