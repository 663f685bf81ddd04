import { assertEquals } from "@std/assert";
import { Dummy, type LinkOptions, NetNs } from "../../mod.ts";
import { testBare } from "./bare.ts";
import { kernelTest } from "./oracle.ts";

testBare({
  kind: "dummy",
  config: "CONFIG_DUMMY",
  create: (options: LinkOptions) => Dummy.create(options),
  get: Dummy.get,
});

kernelTest("dummy", "Dummy.create() has ARP off unless asked for", () => {
  using netns = NetNs.create();
  for (const arp of [undefined, true, false]) {
    const options = arp === undefined ? {} : { arp };
    using link = Dummy.create({ name: "t0", netns, ...options });
    assertEquals(!link.read().flags.includes("NOARP"), arp === true);
  }
});

kernelTest("dummy", "Dummy.create() and set() switch the carrier", () => {
  using netns = NetNs.create();
  const link = Dummy.create({ name: "t0", netns, up: true });
  assertEquals(link.read().carrier, true);
  for (const carrier of [false, true]) {
    link.set({ carrier });
    assertEquals(link.read().carrier, carrier);
  }
});

kernelTest("dummy", "A dummy counts what is sent over it, and drops it", async () => {
  using netns = NetNs.create();
  const link = Dummy.create({ name: "t0", netns, up: true, addresses: ["192.0.2.1/24"] });
  const before = link.stats().txPackets;
  const { received } = await netns.ping("192.0.2.2", { timeout: 50 });
  assertEquals([received, link.stats().txPackets > before], [0, true]);
});
