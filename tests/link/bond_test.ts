import { assert, assertEquals, assertThrows } from "@std/assert";
import { Bond, type BondOptions, Link, NetlinkError, NetNs, Scope, Veth } from "../../mod.ts";
import { ip, type Json } from "../helpers.ts";
import { type Case, kernelTest, type Refusal, testCases, testRefusals } from "./oracle.ts";

const KIND = { kind: "bond", single: true, create: Bond.create, get: Bond.get } as const;

const MODES = [
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
] as const;

const MADE: readonly Case[] = [
  { name: "no option", options: {}, words: "", shown: { mode: "balance-rr", miimon: 0 } },
  ...MODES.map((mode) => ({
    name: mode,
    options: { mode },
    words: `mode ${mode}`,
    shown: { mode },
  })),
  {
    name: "delays",
    options: { miimon: 50, updelay: 100, downdelay: 150, peerNotifyDelay: 200, useCarrier: true },
    words: "miimon 50 updelay 100 downdelay 150 peer_notify_delay 200 use_carrier 1",
    shown: { miimon: 50, updelay: 100, downdelay: 150, peer_notify_delay: 200 },
  },
  {
    name: "ARP checks",
    options: {
      mode: "active-backup",
      arpInterval: 100,
      arpIpTarget: ["192.0.2.1", "192.0.2.2"],
      arpValidate: "filter_backup",
      arpAllTargets: "all",
      arpMissedMax: 5,
    },
    words: "mode active-backup arp_interval 100 arp_ip_target 192.0.2.1,192.0.2.2 " +
      "arp_validate filter_backup arp_all_targets all arp_missed_max 5",
    shown: {
      arp_interval: 100,
      arp_ip_target: ["192.0.2.1", "192.0.2.2"],
      arp_validate: "filter_backup",
      arp_all_targets: "all",
      arp_missed_max: 5,
    },
  },
  {
    name: "neighbor discovery",
    options: {
      mode: "active-backup",
      arpInterval: 100,
      nsIp6Target: ["2001:db8::1", "2001:db8::2"],
    },
    words: "mode active-backup arp_interval 100 ns_ip6_target 2001:db8::1,2001:db8::2",
    shown: { ns_ip6_target: ["2001:db8::1", "2001:db8::2"] },
  },
  {
    name: "failover",
    options: {
      mode: "active-backup",
      primaryReselect: "failure",
      failOverMac: "follow",
      resendIgmp: 3,
      numPeerNotif: 4,
      allSlavesActive: true,
      minLinks: 2,
    },
    words: "mode active-backup primary_reselect failure fail_over_mac follow resend_igmp 3 " +
      "num_grat_arp 4 all_slaves_active 1 min_links 2",
    shown: {
      primary_reselect: "failure",
      fail_over_mac: "follow",
      resend_igmp: 3,
      num_peer_notif: 4,
      all_slaves_active: 1,
      min_links: 2,
    },
  },
  ...(["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"] as const).map(
    (xmitHashPolicy) => ({
      name: xmitHashPolicy,
      options: { mode: "balance-xor", xmitHashPolicy },
      words: `mode balance-xor xmit_hash_policy ${xmitHashPolicy}`,
      shown: { xmit_hash_policy: xmitHashPolicy },
    }),
  ),
  {
    name: "packetsPerSlave",
    options: { packetsPerSlave: 7, lpInterval: 9 },
    words: "packets_per_slave 7 lp_interval 9",
    shown: { packets_per_slave: 7, lp_interval: 9 },
  },
  {
    name: "LACP",
    options: {
      mode: "802.3ad",
      lacpRate: "fast",
      lacpActive: false,
      adSelect: "bandwidth",
      adActorSysPrio: 77,
      adUserPortKey: 5,
      adActorSystem: "02:00:00:00:00:77",
    },
    words: "mode 802.3ad lacp_rate fast lacp_active off ad_select bandwidth " +
      "ad_actor_sys_prio 77 ad_user_port_key 5 ad_actor_system 02:00:00:00:00:77",
    shown: {
      ad_lacp_rate: "fast",
      ad_lacp_active: "off",
      ad_select: "bandwidth",
      ad_actor_sys_prio: 77,
      ad_user_port_key: 5,
      ad_actor_system: "02:00:00:00:00:77",
    },
  },
  {
    name: "tlbDynamicLb",
    options: { mode: "balance-tlb", tlbDynamicLb: false },
    words: "mode balance-tlb tlb_dynamic_lb 0",
    shown: { tlb_dynamic_lb: 0 },
  },
];

const CHANGED: readonly Case[] = [
  {
    name: "miimon and delays",
    before: { mode: "active-backup", miimon: 100 },
    options: { miimon: 20, updelay: 40, downdelay: 60 },
    words: "miimon 20 updelay 40 downdelay 60",
    shown: { miimon: 20, updelay: 40, downdelay: 60 },
  },
  {
    name: "mode",
    before: { mode: "balance-rr" },
    options: { mode: "802.3ad", lacpRate: "fast" },
    words: "mode 802.3ad lacp_rate fast",
    shown: { mode: "802.3ad", ad_lacp_rate: "fast" },
  },
  {
    name: "ARP targets",
    before: { mode: "active-backup", arpInterval: 100, arpIpTarget: ["192.0.2.1", "192.0.2.2"] },
    options: { arpIpTarget: ["192.0.2.3"] },
    words: "arp_ip_target 192.0.2.3",
    shown: { arp_ip_target: ["192.0.2.3"] },
  },
];

const REFUSED: readonly Refusal[] = [
  [{ mode: "active" }, "TypeError", "mode must be one of"],
  [{ miimon: -1 }, "RangeError", "miimon must be in 0..2147483647 milliseconds"],
  [{ adActorSysPrio: 0 }, "RangeError", "adActorSysPrio must be in 1..65535"],
  [{ adUserPortKey: 1024 }, "RangeError", "adUserPortKey must be in 0..1023"],
  [{ arpIpTarget: ["nowhere"] }, "TypeError", "arpIpTarget[0]"],
  [{ xmitHashPolicy: "layer4" }, "TypeError", "xmitHashPolicy must be one of"],
  [{ resendIgmp: 256 }, "RangeError", "resendIgmp must be in 0..255"],
  [{ mimon: 5 }, "TypeError", 'did you mean "miimon"?'],
  [{ adInfo: {} }, "TypeError", 'Unknown option "adInfo"'],
  [{ activeSlave: "none" }, "NetlinkError", 'find activeSlave "none"'],
  [{ miimon: 10, arpInterval: 10 }, "NetlinkError", "EINVAL"],
  [{ mode: "balance-rr", lacpRate: "fast" }, "NetlinkError", "EACCES"],
];

testCases(KIND, "made", MADE);
testCases(KIND, "changed", CHANGED);
testRefusals(KIND, REFUSED);

/** Two hosts with a bond each, joined by two cables. */
async function hosts(scope: Scope, options: BondOptions) {
  const ends = [1, 2].map((n) => {
    const netns = NetNs.create({ scope });
    const addresses = [`10.0.0.${n}/24`];
    const bond = Bond.create({ scope, name: "bond0", netns, ...options, up: true, addresses });
    return { netns, bond };
  });
  const [left, right] = ends as [typeof ends[0], typeof ends[0]];
  const cables = [0, 1].map((n) =>
    Veth.create({
      scope,
      name: `eth${n}`,
      master: left.bond,
      up: true,
      peer: { name: `eth${n}`, master: right.bond, up: true },
    })
  );
  await scope.ready();
  return { left, right, cables: cables as [Veth, Veth] };
}

kernelTest("bond", "A bond of active-backup fails over, and counts the failure", async () => {
  await using scope = Scope.open();
  const { left, right, cables } = await hosts(scope, { mode: "active-backup", miimon: 10 });
  const active = () => left.bond.options().activeSlave;
  assertEquals(active(), cables[0].index);
  assertEquals((await left.netns.ping("10.0.0.2", { timeout: 5000 })).received, 1);

  const pings = left.netns.ping("10.0.0.2", { count: 40, interval: 50, timeout: 5000 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  cables[0].peer.down();
  const { sent, received } = await pings;
  assert(received >= sent / 2 && received <= sent, `${received} of ${sent}`);
  assertEquals(active(), cables[1].index);
  const { port } = cables[0].read();
  assert(port?.kind === "bond");
  assertEquals([port.options.state, port.options.miiStatus, port.options.linkFailureCount], [
    "backup",
    "down",
    1,
  ]);
  assertEquals(right.bond.options().mode, "active-backup");
});

kernelTest("bond", "activeSlave and primary choose the port, as ip shows them", async () => {
  await using scope = Scope.open();
  const { left, cables: [first, second] } = await hosts(scope, {
    mode: "active-backup",
    miimon: 10,
  });
  const shown = () => {
    const [link] = ip(left.netns.ref, "-d -j link show bond0") as [Json];
    const { active_slave, primary } = (link.linkinfo as Json).info_data as Json;
    return [active_slave, primary];
  };
  left.bond.set({ activeSlave: second });
  assertEquals(shown(), ["eth1", undefined]);
  left.bond.set({ primary: "eth0" });
  assertEquals(shown(), ["eth0", "eth0"]);
  assertEquals(left.bond.options().primary, first.index);
  left.bond.set({ primary: 0 });
  assertEquals(shown()[1], undefined);
  assertThrows(() => left.bond.set({ mode: "802.3ad" }), NetlinkError, "mode");
});

kernelTest("bond", "The options of a port are set and read, as ip shows them", async () => {
  await using scope = Scope.open();
  const { left, cables: [first] } = await hosts(scope, { mode: "active-backup", miimon: 10 });
  first.set({ port: { queueId: 3, prio: -7 } });
  const { port } = first.read();
  assert(port?.kind === "bond");
  assertEquals([port.options.queueId, port.options.prio], [3, -7]);
  const [link] = ip(left.netns.ref, "-d -j link show eth0") as [Json];
  const { info_slave_data } = link.linkinfo as { info_slave_data: Json };
  // The other port has a higher rank now.
  assertEquals([info_slave_data.queue_id, info_slave_data.state], [3, "BACKUP"]);
  assertEquals(port.options.state, "backup");
  assertEquals(info_slave_data.perm_hwaddr, port.options.permHwaddr);
  assertThrows(() => first.set({ port: { queueId: 65536 } }), RangeError, "queueId");
  assertThrows(() => first.set({ port: { state: "active" } as never }), TypeError, "port.state");
});

kernelTest(
  "bond",
  "802.3ad agrees with the other end, and survives the loss of a cable",
  async () => {
    await using scope = Scope.open();
    const { left, right, cables } = await hosts(scope, {
      mode: "802.3ad",
      lacpRate: "fast",
      miimon: 10,
      xmitHashPolicy: "layer3+4",
    });
    const until = async (condition: () => boolean) => {
      const end = performance.now() + 60_000;
      while (!condition() && performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      assert(condition(), Deno.inspect([left, right].map(({ bond }) => bond.options())));
    };
    /** Both ends use as many ports, and know each other; bits of LACP: collecting and distributing. */
    const agreed = (ports: number) =>
      [[left, right], [right, left]].every(([end, other]) => {
        const { adInfo } = end!.bond.options();
        const inUse = end!.netns.links.list({ master: end!.bond }).filter(({ port, carrier }) =>
          port?.kind === "bond" && carrier &&
          ((port.options.adActorOperPortState ?? 0) & 0x30) === 0x30
        );
        return adInfo?.numPorts === ports && inUse.length === ports &&
          adInfo.partnerMac === other!.bond.read().mac;
      });
    await until(() => agreed(2));
    assertEquals((await left.netns.ping("10.0.0.2", { timeout: 5000 })).received, 1);
    cables[1].peer.down();
    await until(() => agreed(1));
    // LACP of the other cable may begin anew: packets are lost until both ends agree again.
    let received = 0;
    for (let tries = 0; tries < 20 && received < 5; tries++) {
      ({ received } = await left.netns.ping("10.0.0.2", {
        count: 5,
        interval: 100,
        timeout: 1000,
      }));
    }
    assertEquals(received, 5);
    assert(agreed(1));
  },
);

kernelTest("bond", "Link.get() gives a Bond, and a link that is up does not join", () => {
  using netns = NetNs.create();
  const master = Bond.create({ name: "bond0", netns });
  assert(Link.get("bond0", { netns }) instanceof Bond);
  const link = Veth.create({ name: "v0", netns, up: true, peer: { name: "v1", netns } });
  assertThrows(() => link.set({ master }), NetlinkError, "EPERM");
  link.down();
  link.set({ master });
  assertEquals(link.read().master, master.index);
});
