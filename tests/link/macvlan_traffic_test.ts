import { assert, assertEquals, assertThrows } from "@std/assert";
import { C } from "../../ffi/libc.ts";
import { Socket } from "../../ffi/socket.ts";
import { Macvlan, type MacvlanModeOptions, NetlinkError } from "../../mod.ts";
import { run } from "../helpers.ts";
import { kernelTest } from "./oracle.ts";
import { assertNoAnswer, assertReaches, HOSTS, PARENT, Rig, SWITCH } from "./rig.ts";
import { frame, textOf, Wire } from "./wire.ts";

const IPPROTO_ICMP = 1;

/** A macvlan in each host's namespace. */
function macvlans(rig: Rig, options: MacvlanModeOptions): [Macvlan, Macvlan] {
  const { scope, parent } = rig;
  const [a, b] = rig.hosts.map((netns, i) =>
    Macvlan.create({
      scope,
      name: "macvlan0",
      netns,
      parent,
      up: true,
      addresses: [`${HOSTS[i]}/24`],
      ...options,
    })
  );
  return [a!, b!];
}

kernelTest("macvlan", "macvlan bridge: siblings talk, the parent does not hear them", async () => {
  await using rig = new Rig();
  const [a, b] = macvlans(rig, { mode: "bridge" });
  const [macA, macB] = [a.read().mac, b.read().mac];
  using heard = new Socket(rig.hub.ref, C.AF_INET, C.SOCK_RAW, IPPROTO_ICMP, "hear ICMP");
  using onWire = new Wire(rig.outside, rig.port);
  await assertReaches(rig.hosts[0], HOSTS[1]);
  await assertReaches(rig.hosts[1], HOSTS[0]);
  // Packet sockets on the parent do see them: what goes to a sibling passes there.
  assertEquals(heard.receive(new Uint8Array(100), 0, "hear ICMP"), -1);
  assertEquals(onWire.drain().filter(({ from, to }) => from === macA && to === macB).length, 0);
  await assertReaches(rig.hosts[0], SWITCH);
  await assertReaches(rig.outside, HOSTS[1]);
  await assertNoAnswer(rig.hosts[0], PARENT);
  await assertNoAnswer(rig.hub, HOSTS[0]);
  assertEquals(rig.hub.neighbors.list().filter(({ lladdr }) => lladdr === macA), []);
});

kernelTest("macvlan", "macvlan vepa: siblings talk through a hairpin port only", async () => {
  await using rig = new Rig();
  const [a, b] = macvlans(rig, { mode: "vepa" });
  await assertReaches(rig.hosts[0], SWITCH);
  await assertReaches(rig.outside, HOSTS[1]);
  await assertNoAnswer(rig.hosts[0], HOSTS[1]);
  rig.port.set({ hairpin: true });
  using onWire = new Wire(rig.outside, rig.port);
  await assertReaches(rig.hosts[0], HOSTS[1]);
  await assertReaches(rig.hosts[0], PARENT);
  const [macA, macB] = [a.read().mac, b.read().mac];
  // In and out again.
  assert(onWire.drain().filter(({ from, to }) => from === macA && to === macB).length >= 2);
  rig.port.set({ hairpin: false });
  await assertNoAnswer(rig.hosts[0], HOSTS[1]);
});

kernelTest(
  "macvlan",
  "macvlan private: siblings do not talk, not even through a hairpin port",
  async () => {
    await using rig = new Rig();
    const links = macvlans(rig, { mode: "private" });
    rig.port.set({ hairpin: true });
    await assertReaches(rig.hosts[0], SWITCH);
    await assertReaches(rig.outside, HOSTS[1]);
    await assertNoAnswer(rig.hosts[0], HOSTS[1]);
    await assertNoAnswer(rig.hosts[1], HOSTS[0]);
    // What keeps them apart is ARP.
    for (const [i, link] of links.entries()) {
      const lladdr = links[1 - i]!.read().mac;
      run(link.ref, `ip neigh replace ${HOSTS[1 - i]} lladdr ${lladdr} dev macvlan0`);
    }
    await assertReaches(rig.hosts[0], HOSTS[1]);
    for (const link of links) {
      run(link.ref, "ip neigh flush dev macvlan0 nud permanent");
      link.set({ mode: "vepa" });
    }
    await assertReaches(rig.hosts[0], HOSTS[1]);
  },
);

kernelTest("macvlan", "macvlan passthru: one has the parent's MAC and all it hears", async () => {
  await using rig = new Rig();
  const { parent, hosts, scope } = rig;
  await assertReaches(rig.outside, PARENT);
  const make = (name: string) =>
    Macvlan.create({
      scope,
      name,
      netns: hosts[0],
      parent,
      mode: "passthru",
      up: true,
      addresses: [`${HOSTS[0]}/24`],
    });
  const link = make("macvlan0");
  assertEquals(link.read().mac, parent.read().mac);
  assertEquals(parent.read().promiscuity, 1);
  assertThrows(() => make("macvlan1"), NetlinkError, "EINVAL");
  await assertReaches(rig.outside, HOSTS[0]);
  await assertReaches(hosts[0], SWITCH);
  await assertNoAnswer(rig.outside, PARENT);
  link.set({ mode: "passthru", nopromisc: true });
  assertEquals(parent.read().promiscuity, 0);
  await assertReaches(rig.outside, HOSTS[0]);
  link.delete();
  await assertReaches(rig.outside, PARENT);
});

kernelTest("macvlan", "macvlan source: it hears listed senders only", async () => {
  await using rig = new Rig();
  const [friend, stranger] = [rig.neighbor("10.9.0.11"), rig.neighbor("10.9.0.12")];
  const macs = [friend, stranger].map(({ link }) => link.read().mac!);
  const [link] = macvlans(rig, { mode: "source", macs: [macs[0]!] });
  await assertReaches(friend.netns, HOSTS[0]);
  await assertReaches(rig.hosts[0], "10.9.0.11");
  await assertNoAnswer(stranger.netns, HOSTS[0]);
  await assertNoAnswer(rig.hosts[0], "10.9.0.12");
  link.macs.add(macs[1]!);
  link.macs.delete(macs[0]!);
  await assertReaches(stranger.netns, HOSTS[0]);
  await assertNoAnswer(friend.netns, HOSTS[0]);
});

kernelTest(
  "macvlan",
  "macvlan source: nodst keeps a listed sender's frames from others",
  async () => {
    await using rig = new Rig();
    const [listener, addressee] = macvlans(rig, { mode: "bridge" });
    const [friend, stranger] = ["02:00:00:00:00:01", "02:00:00:00:00:02"] as const;
    using outside = new Wire(rig.outside, rig.port);
    using heard = new Wire(rig.hosts[0], listener, true);
    using arrived = new Wire(rig.hosts[1], addressee, true);
    const mac = addressee.read().mac!;
    for (const nodst of [false, true]) {
      listener.set({ mode: "source", macs: [friend], nodst });
      outside.send(frame(mac, friend, `friend ${nodst}`));
      outside.send(frame(mac, stranger, `stranger ${nodst}`));
      await heard.until((it) => textOf(it) === `friend ${nodst}`);
      await arrived.until((it) => textOf(it) === `stranger ${nodst}`);
      const both = arrived.drain().some((it) => textOf(it) === `friend ${nodst}`);
      assertEquals(both, !nodst);
      assertEquals(heard.drain().filter(({ from }) => from === stranger).length, 0);
    }
  },
);
