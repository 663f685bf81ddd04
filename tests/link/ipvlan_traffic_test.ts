import { assert, assertEquals } from "@std/assert";
import { readText } from "../../ffi/file.ts";
import { within } from "../../ffi/namespace.ts";
import { Ipvlan, type IpvlanOptions } from "../../mod.ts";
import { run } from "../helpers.ts";
import { HookCounters } from "./nft.ts";
import { kernelTest } from "./oracle.ts";
import { assertNoAnswer, assertReaches, HOSTS, PARENT, Rig, SWITCH } from "./rig.ts";
import { Arrivals, BROADCAST, ETH_P, frame, packet, Wire } from "./wire.ts";

const OTHER = "02:00:00:00:00:01";
/** The group every host is in: its MAC, and its address. */
const ALL_HOSTS = ["01:00:5e:00:00:01", "224.0.0.1"] as const;
/** Addresses in networks of their own. */
const FAR = ["10.77.1.1", "10.77.2.1"] as const;

/** An ipvlan in each host's namespace. */
function ipvlans(
  rig: Rig,
  options: IpvlanOptions,
  addresses: readonly string[] = HOSTS,
): [Ipvlan, Ipvlan] {
  const { scope, parent } = rig;
  const [a, b] = rig.hosts.map((netns, i) =>
    Ipvlan.create({
      scope,
      name: "ipvlan0",
      netns,
      parent,
      up: true,
      addresses: [`${addresses[i]}/24`],
      ...options,
    })
  );
  return [a!, b!];
}

/** Networks of their own behind the parent: everything else by way of the ipvlan, without a router. */
function route(rig: Rig): void {
  for (const { ref } of rig.hosts) run(ref, "ip route add default dev ipvlan0");
  run(rig.outside.ref, `ip route add 10.77.0.0/16 via ${PARENT}`);
}

kernelTest("ipvlan", "ipvlan l2: siblings talk, with the parent's MAC on the wire", async () => {
  await using rig = new Rig();
  const links = ipvlans(rig, { mode: "l2" });
  const mac = rig.parent.read().mac;
  assertEquals(links.map((link) => link.read().mac), [mac, mac]);
  using onWire = new Wire(rig.outside, rig.port, true);
  await assertReaches(rig.hosts[0], HOSTS[1]);
  for (const host of rig.hosts) await assertReaches(host, SWITCH);
  for (const address of HOSTS) await assertReaches(rig.outside, address);
  await assertNoAnswer(rig.hosts[0], PARENT);
  const seen = onWire.drain().filter(({ type }) => type === ETH_P.IP || type === ETH_P.ARP);
  assertEquals([...new Set(seen.map(({ from }) => from))], [mac]);
  const senders = new Set(seen.map(({ ip }) => ip?.from));
  assert(HOSTS.every((address) => senders.has(address)));
  assertEquals(seen.filter(({ ip }) => ip?.to === HOSTS[1]).length, 0);
});

kernelTest(
  "ipvlan",
  "ipvlan l2 private: siblings do not talk, not even through a hairpin port",
  async () => {
    await using rig = new Rig();
    const [link] = ipvlans(rig, { mode: "l2", flag: "private" });
    rig.port.set({ hairpin: true });
    await assertReaches(rig.hosts[0], SWITCH);
    await assertNoAnswer(rig.hosts[0], HOSTS[1]);
    link.set({ flag: "bridge" });
    await assertReaches(rig.hosts[0], HOSTS[1]);
  },
);

kernelTest("ipvlan", "ipvlan l2 vepa: siblings talk through a hairpin port only", async () => {
  await using rig = new Rig();
  ipvlans(rig, { mode: "l2", flag: "vepa" });
  await assertReaches(rig.hosts[0], SWITCH);
  await assertNoAnswer(rig.hosts[0], HOSTS[1]);
  rig.port.set({ hairpin: true });
  using onWire = new Wire(rig.outside, rig.port, true);
  await assertReaches(rig.hosts[0], HOSTS[1]);
  assert(onWire.drain().some(({ ip }) => ip?.from === HOSTS[0] && ip.to === HOSTS[1]));
});

for (const mode of ["l2", "l3", "l3s"] as const) {
  const passes = mode === "l2" ? "passes" : "does not pass";
  kernelTest("ipvlan", `ipvlan ${mode} ${passes} broadcast and multicast`, async () => {
    await using rig = new Rig();
    ipvlans(rig, { mode });
    const mac = rig.parent.read().mac!;
    using outside = new Wire(rig.outside, rig.port);
    for (const [i, address] of HOSTS.entries()) {
      using arrivals = new Arrivals(rig.hosts[i]!);
      for (const [to, group] of [[BROADCAST, "10.9.0.255"], ALL_HOSTS, [mac, address]] as const) {
        outside.send(frame(to, OTHER, packet(SWITCH, group), ETH_P.IP));
      }
      await arrivals.until(({ ip }) => ip?.to === address);
      if (mode === "l2") {
        await arrivals.until(({ ip }) => ip?.to === "10.9.0.255");
        await arrivals.until(({ ip }) => ip?.to === ALL_HOSTS[1]);
      } else {
        assertEquals(arrivals.drain().map(({ ip }) => ip?.to), [address]);
      }
    }
  });
}

for (const mode of ["l3", "l3s"] as const) {
  kernelTest("ipvlan", `ipvlan ${mode} routes between networks without ARP`, async () => {
    await using rig = new Rig();
    ipvlans(rig, { mode }, FAR);
    route(rig);
    using onWire = new Wire(rig.outside, rig.port, true);
    await assertReaches(rig.hosts[0], FAR[1]);
    await assertReaches(rig.hosts[1], FAR[0]);
    assertEquals(onWire.drain().length, 0);
    assertEquals(rig.hosts[0].neighbors.list().filter(({ state }) => state !== "noarp"), []);

    await assertReaches(rig.outside, FAR[0]);
    await assertReaches(rig.hosts[1], SWITCH);
    // The parent's namespace asks for its own sake only.
    const mac = rig.parent.read().mac;
    const asked = onWire.drain().filter(({ type }) => type === ETH_P.ARP);
    assert(asked.every(({ from, payload }) => from === mac && payload[17] === 200));
    const senders = onWire.drain().filter(({ ip }) => FAR.includes(ip?.from as typeof FAR[0]));
    assertEquals([...new Set(senders.map(({ from }) => from))], [mac]);
  });
}

for (const mode of ["l2", "l3", "l3s"] as const) {
  const hears = mode === "l3s";
  const name =
    `ipvlan ${mode}: what comes in ${hears ? "passes" : "does not pass"} the hooks and the ` +
    "connection tracking of the parent's namespace";
  kernelTest("ipvlan", name, async () => {
    await using rig = new Rig();
    const addresses = mode === "l2" ? HOSTS : FAR;
    ipvlans(rig, { mode }, addresses);
    if (mode !== "l2") route(rig);
    using hooks = new HookCounters(rig.hub.ref);
    await assertReaches(rig.outside, addresses[0]);
    const { prerouting, input, output } = hooks.read();
    assertEquals([prerouting > 0, input > 0], [hears, hears]);
    assertEquals(output > 0, mode !== "l2");
    const tracked = within(rig.hub.ref, () => readText("/proc/thread-self/net/nf_conntrack"));
    assertEquals(tracked.includes(`src=${SWITCH} dst=${addresses[0]} type=8`), hears, tracked);
  });
}
