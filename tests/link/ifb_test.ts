import { assertEquals } from "@std/assert";
import { Ifb, type LinkOptions, NetNs } from "../../mod.ts";
import { testBare } from "./bare.ts";
import { kernelTest } from "./oracle.ts";

testBare({
  kind: "ifb",
  config: "CONFIG_IFB",
  create: (options: LinkOptions) => Ifb.create(options),
  get: Ifb.get,
});

kernelTest("ifb", "Ifb.create() makes as many queues as asked for", () => {
  using netns = NetNs.create();
  const link = Ifb.create({ name: "t0", netns, numTxQueues: 4, numRxQueues: 3 });
  const { numTxQueues, numRxQueues } = link.read();
  assertEquals([numTxQueues, numRxQueues], [4, 3]);
});
